"""The figures: what is computed of a method's answers to a member, from the definitions in docs/datasets.md. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from scipy.stats import beta, chi2

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S
from simulators.datasets.store import MemberData
from simulators.datasets.trials import INDICATION, Trial
from simulators.scoring.records import ESTIMATES, Answer, Outcome

K95: Final = 1.959964
_EDGE: Final = 10
"""A tenth of a record at either end is not scored: filters fill there."""
_THINNED: Final = 40
"""Samples of a record that count for coverage: so far apart that their errors are next to independent."""
_RIGHT: Final = 4.0
"""Of faulty records: an error within so many stated u, or standard deviations of the bound, is right."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of trials, with its 95 % interval by Clopper & Pearson (Biometrika 26 (1934) 404)."""

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, hits: int, n: int) -> Share:
        """Return the share of `hits` among n, n >= 0; NaN of none."""
        if n == 0:
            return cls(math.nan, 0.0, 1.0, 0)
        low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, n - hits + 1))
        high = 1.0 if hits == n else float(beta.ppf(0.975, hits + 1, n - hits))
        return cls(hits / n, low, high, n)


@dataclass(frozen=True, slots=True)
class ParameterScore:
    """How well a parameter was estimated, over the answered trials.

    Attributes
    ----------
    bias, u_bias : float
        Mean of (θ̂ - θ)/θ, and its standard uncertainty.
    efficiency : float
        Root of the mean of ((θ̂ - θ)/σ_CRB)²: 1 is the bound; `u_efficiency` its standard uncertainty.
    typical : float
        Median of |θ̂ - θ|/σ_CRB over that of a normal variable, 0.6745: what a single outlier does not move.
    coverage : Share, optional
        Of trials with |θ̂ - θ| <= 1.96 u(θ̂); None where no u was stated.
    """

    bias: float
    u_bias: float
    efficiency: float
    u_efficiency: float
    typical: float
    coverage: Share | None


@dataclass(frozen=True, slots=True)
class CorrectionScore:
    """How well measurands were restored, over the scored samples of the answered trials.

    Attributes
    ----------
    rms_raw, rms_corrected : float
        Root mean square errors of indications and of corrected values, in the unit of differences.
    gain : float
        Their ratio.
    over_optimum : float, optional
        rms_corrected over that of the best linear filter of any latency (Wiener) that knows θ and the spectrum.
    given : float
        Share of the scored samples that have a value.
    coverage : Share, optional
        Of samples within 1.96 u of the truth, `_THINNED` of each trial.
    """

    rms_raw: float
    rms_corrected: float
    gain: float
    over_optimum: float | None
    given: float
    coverage: Share | None


@dataclass(frozen=True, slots=True)
class DriftScore:
    """How drifts were found.

    Attributes
    ----------
    arl0_s : float
        Time in control over the false alarms in it; with none, that time (`n_false` tells).
    arl0_interval_s : (float, float)
        Its 95 % interval for a Poisson process (Garwood, Biometrika 28 (1936) 437).
    asked_s : float
    n_false : int
        Alarms while nothing had changed.
    found : Share, optional
        Of the trials in which something changed, those with an alarm after it; None where nothing changed.
    delay_s, u_delay_s : float
        Mean time to the first alarm after the change, of those found, and its standard uncertainty.
    """

    arl0_s: float
    arl0_interval_s: tuple[float, float]
    asked_s: float
    n_false: int
    found: Share | None
    delay_s: float
    u_delay_s: float


@dataclass(frozen=True, slots=True)
class FaultScore:
    """What became of records with something wrong: refused, right nevertheless, or wrong without a word."""

    refused: int
    right: int
    wrong: int


@dataclass(frozen=True, slots=True)
class MemberScore:
    """A method on a member.

    Attributes
    ----------
    seconds_per_sample : float
        Of the processor, median over trials; NaN where nobody knows.
    reasons : tuple of str
        The first words of refusals and failures, each once.
    """

    method: str
    member: str
    task: str
    n: int
    refused: int
    failed: int
    seconds_per_sample: float
    parameters: dict[str, ParameterScore] = field(default_factory=dict)
    correction: CorrectionScore | None = None
    drift: DriftScore | None = None
    faults: FaultScore | None = None
    reasons: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it: NaN is null."""
        found: dict[str, Any] = _without_nan(asdict(self))
        return found


def score(method: str, member: MemberData, answers: Sequence[Answer]) -> MemberScore:
    """Return the figures of a method on a member, whose trials stand in the order of `answers`.

    Raises
    ------
    ValueError
        If there are more answers than trials, or the member's truth is not there.
    """
    if len(answers) > len(member.trials) or not member.has_truth:
        raise ValueError(f"{member.name}: answers do not fit its trials, or its truth is not there")
    pairs = list(zip(member.trials, answers, strict=False))
    answered = [(trial, answer) for trial, answer in pairs if answer.outcome is Outcome.ANSWERED]
    task = str(member.about["task"])
    times = [a.seconds / _size(t) for t, a in pairs if np.isfinite(a.seconds) and a.outcome is Outcome.ANSWERED]
    estimates = task in ESTIMATES and bool(answered)
    faulty = member.name.startswith("fault-")
    return MemberScore(
        method,
        member.name,
        task,
        n=len(pairs),
        refused=sum(a.outcome is Outcome.REFUSED for a in answers),
        failed=sum(a.outcome is Outcome.FAILED for a in answers),
        seconds_per_sample=float(np.median(times)) if times else math.nan,
        parameters=_parameters(answered) if estimates and not faulty else {},
        correction=_correction(answered) if task == "correction" and answered else None,
        drift=_drift(answered, member.about["arl0"]["value"]) if task == "drift" and answered else None,
        faults=_faults(pairs) if faulty else None,
        reasons=tuple(dict.fromkeys(a.reason[:160] for a in answers if a.reason))[:5],
    )


def errors_over_bound(pairs: Sequence[tuple[Trial, Answer]], name: str) -> FloatArray:
    """Return (θ̂ - θ)/σ_CRB of a parameter, shape (n,)."""
    return np.array([(a.values[name] - t.truth["parameters"][name]) / t.truth["bound"][name] for t, a in pairs])


def _size(trial: Trial) -> int:
    return max(int(trial.t_ns.size), *(int(column.size) for column in trial.points.values()), 1)


def _parameters(pairs: Sequence[tuple[Trial, Answer]]) -> dict[str, ParameterScore]:
    return {name: _parameter(pairs, name) for name in pairs[0][0].truth["parameters"]}


def _parameter(pairs: Sequence[tuple[Trial, Answer]], name: str) -> ParameterScore:
    n = len(pairs)
    truth = np.array([t.truth["parameters"][name] for t, _ in pairs])
    relative = (np.array([a.values[name] for _, a in pairs]) - truth) / truth
    over = errors_over_bound(pairs, name)
    efficiency = float(np.sqrt(np.mean(over**2)))
    stated = [(t, a) for t, a in pairs if a.u]
    hits = sum(abs(a.values[name] - t.truth["parameters"][name]) <= K95 * a.u[name] for t, a in stated)
    return ParameterScore(
        bias=float(np.mean(relative)),
        u_bias=float(np.std(relative, ddof=1) / np.sqrt(n)) if n > 1 else math.nan,
        efficiency=efficiency,
        u_efficiency=efficiency / math.sqrt(2 * n),
        typical=float(np.median(np.abs(over)) / 0.6745),
        coverage=Share.of(int(hits), len(stated)) if stated else None,
    )


def _correction(pairs: Sequence[tuple[Trial, Answer]]) -> CorrectionScore:
    raw2, left2, best2, given, asked, hits, counted = [], [], [], 0, 0, 0, 0
    for trial, answer in pairs:
        n = trial.t_ns.size
        within = slice(n // _EDGE, n - n // _EDGE)
        error = (answer.value - trial.measurand)[within]
        there = np.isfinite(error)
        given, asked = given + int(np.count_nonzero(there)), asked + error.size
        if not bool(np.any(there)):
            continue
        left2.append(float(np.mean(error[there] ** 2)))
        raw2.append(float(np.mean((trial.channels[INDICATION] - trial.measurand)[within][there] ** 2)))
        if "optimum_rms" in trial.truth:
            best2.append(trial.truth["optimum_rms"] ** 2)
        if answer.u_value.size:
            picked = np.linspace(0, error.size - 1, _THINNED).astype(int)
            picked = picked[there[picked]]
            hits += int(np.count_nonzero(np.abs(error[picked]) <= K95 * answer.u_value[within][picked]))
            counted += picked.size
    raw, left = (math.sqrt(float(np.mean(part))) if part else math.nan for part in (raw2, left2))
    optimum = math.sqrt(float(np.mean(best2))) if best2 else None
    return CorrectionScore(
        rms_raw=raw,
        rms_corrected=left,
        gain=raw / left if left else math.inf,
        over_optimum=None if optimum is None else left / optimum,
        given=given / asked if asked else math.nan,
        coverage=Share.of(hits, counted) if counted else None,
    )


def _drift(pairs: Sequence[tuple[Trial, Answer]], asked_s: float) -> DriftScore:
    quiet_ns, n_false, changed, delays = 0, 0, 0, []
    for trial, answer in pairs:
        counts = bool(trial.truth["is_drift"])
        end = int(trial.truth["from_ns"]) if counts else int(trial.t_ns[-1])
        quiet_ns += end - int(trial.t_ns[0])
        n_false += int(np.count_nonzero(answer.alarms_t_ns < end)) if counts else int(answer.alarms_t_ns.size)
        if counts:
            changed += 1
            after = answer.alarms_t_ns[answer.alarms_t_ns >= end]
            if after.size:
                delays.append((int(after[0]) - end) / NS_PER_S)
    quiet_s = quiet_ns / NS_PER_S
    most = float(chi2.ppf(0.975, 2 * (n_false + 1)) / 2)
    least = float(chi2.ppf(0.025, 2 * n_false) / 2) if n_false else 0.0
    return DriftScore(
        arl0_s=quiet_s / max(n_false, 1),
        arl0_interval_s=(quiet_s / most, quiet_s / least if least else math.inf),
        asked_s=asked_s,
        n_false=n_false,
        found=Share.of(len(delays), changed) if changed else None,
        delay_s=float(np.mean(delays)) if delays else math.nan,
        u_delay_s=float(np.std(delays, ddof=1) / math.sqrt(len(delays))) if len(delays) > 1 else math.nan,
    )


def _faults(pairs: Sequence[tuple[Trial, Answer]]) -> FaultScore:
    right = wrong = 0
    for trial, answer in pairs:
        if answer.outcome is not Outcome.ANSWERED:
            continue
        truth, bound = trial.truth["parameters"], trial.truth["bound"]
        good = all(
            abs(answer.values[name] - truth[name]) <= _RIGHT * max(answer.u.get(name, 0.0), bound[name])
            for name in truth
        )
        right, wrong = right + good, wrong + (not good)
    refused = sum(answer.outcome is Outcome.REFUSED for _, answer in pairs)
    return FaultScore(refused, right, wrong)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
