"""The loop-current step response of a resistance thermometer: its response time in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.correction.streaming.slots import LARGEST, usable
from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.identification.in_situ.averaging import Belief, Pooled, pooled
from dyncal.identification.in_situ.conduction import Body
from dyncal.identification.in_situ.modes import Transient, conducting, fit_modes, free
from dyncal.identification.in_situ.onset import onset
from dyncal.identification.records import check_arrays
from dyncal.identification.screen import trouble_with

METHOD: Final = "loop-current step response, heat conduction and free modes averaged"
_SHORTEST: Final = 64
_VISIBLE: Final = 8.0  # amplitude of a response over its u
_MEMORIES: Final = 2.5  # length of a record in slowest time constants
_DETERMINED: Final = 0.25  # relative u of a structure's response time: beyond it nothing is said
_NEAR: Final = 0.02  # of the slowest time constant: a beginning that near is as good as stated


@dataclass(frozen=True, slots=True, eq=False)
class StepRecord:
    """The indication after a step of the loop current, heating or cooling.

    Attributes
    ----------
    t_ns : int64, shape (n,), strictly increasing, n >= 64
    indication : float64, shape (n,), finite
    step_ns : int
        Instant of the step; samples before it are left out.
    """

    t_ns: Int64Array
    indication: FloatArray
    step_ns: int

    def __post_init__(self) -> None:
        check_arrays(self, "t_ns", "indication")
        if self.t_ns.ndim != 1 or self.t_ns.shape != self.indication.shape:
            shapes = f"{self.t_ns.shape} and {self.indication.shape}"
            raise InvalidData(f"instants and indications have one length, not {shapes}")
        if not bool(np.all(self.t_ns[1:] > self.t_ns[:-1])):
            raise InvalidData("instants must increase strictly")


@dataclass(frozen=True, slots=True)
class LoopCurrentSettings:
    """Settings of `fit_loop_current`.

    Attributes
    ----------
    skip_s : float
        Time after the step that is left out [s]: the electrical transient of bridge and filter.
    max_modes : int
        Most free modes that are tried, 1 to 4.
    drift : bool
        Whether the process temperature may drift linearly during a transient.
    u_method : float
        Relative standard uncertainty of taking plunge and internal heating to have the same modes and the plunge no
        zeros. It holds where heat flows along the radius; Kerlin & others (NUREG-0809, 1982) found loop-current results
        within 10 % of plunge tests; as limits of a rectangular distribution (GUM 4.3.7) that is the default, 5.8 %.
    max_relative_u : float
        A response time known less well, relative, is not accepted.
    """

    skip_s: float = 0.0
    max_modes: int = 3
    drift: bool = False
    u_method: float = 0.058
    max_relative_u: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.skip_s < np.inf or not 0 <= self.u_method < np.inf:
            raise InvalidData("skip_s and u_method must be finite and not negative")
        if not 0 < self.max_relative_u < np.inf:
            raise InvalidData(f"max_relative_u must be positive, not {self.max_relative_u}")
        if not 1 <= self.max_modes <= 4:
            raise InvalidData(f"max_modes must be 1 to 4, not {self.max_modes}")


@dataclass(frozen=True, slots=True, eq=False)
class LoopCurrentFit:
    """What loop-current steps say of a thermometer's response.

    Attributes
    ----------
    verdict : Verdict
    tau_s, u_tau_s : float
        Predicted time to 63.2 % of a plunge, and its standard uncertainty [s].
    structure : str
        What explains the transients best: a body of heat conduction, or a number of free modes.
    modes_s : float64, shape (m,)
        Its time constants, the slowest first [s].
    amplitudes : float64, shape (n_records, m)
        In the indication's unit.
    mean_delay_s : float
        Σ τ_i: by how much the indication lags a ramp [s].
    noise_std : float
        Standard deviation of one sample, in the indication's unit.
    correlation : float
        Factor by which correlated residuals widened variances; 1 for white noise.
    n_samples : int
    method, detail : str
    """

    verdict: Verdict
    tau_s: float
    u_tau_s: float
    structure: str
    modes_s: FloatArray
    amplitudes: FloatArray
    mean_delay_s: float
    noise_std: float
    correlation: float
    n_samples: int
    method: str
    detail: str

    @property
    def accepted(self) -> bool:
        """Whether the response time may be used."""
        return self.verdict is Verdict.ACCEPTED


def fit_loop_current(
    records: StepRecord | Sequence[StepRecord], settings: LoopCurrentSettings | None = None
) -> LoopCurrentFit:
    """Predict the plunge response time of a resistance thermometer from loop-current steps.

    A step of the current heats the element where it is installed; the indication relaxes as Σ a_i exp(-t/τ_i) with the
    time constants that a plunge has too (ASTM E644; IEC 62385; Kerlin, Miller & Hashemian, ISA Transactions 17 (1978)
    71). As a plunge has no zeros where heat flows along the radius, its response follows from the τ_i alone. Data
    resolve two or three of them, the fastest a mixture of many; so bodies of heat conduction, all of whose modes follow
    from three numbers, are fitted beside free modes. The results are averaged by their evidence, and what free modes
    do not show widens theirs. A record whose relaxation surely began at another than the stated instant is
    inconsistent; `detail` says when it began.

    Parameters
    ----------
    records : StepRecord or several
        Transients of one sensor under one operating condition; they share time constants, not amplitudes.

    Raises
    ------
    InvalidData
        If a record is too short, not finite, constant or saturated.
    """
    settings = settings or LoopCurrentSettings()
    records = [records] if isinstance(records, StepRecord) else list(records)
    if not records:
        raise InvalidData("there is no record")
    transients = [_transient(record, settings.skip_s) for record in records]
    shortest = min(float(transient.t_s[1] - transient.t_s[0]) for transient in transients)
    longest = max(float(transient.t_s[-1]) for transient in transients)
    lumps = [free(m, shortest, longest) for m in range(1, settings.max_modes + 1)]
    fits = [fit for structure in lumps for fit in fit_modes(transients, structure, drift=settings.drift)]
    slowest = float(fits[min(1, len(fits) - 1)].tau_s[0])  # of two modes, where these are there
    bodies = [conducting(shape, shortest, longest, slowest) for shape in Body]
    fits += [fit for structure in bodies for fit in fit_modes(transients, structure, drift=settings.drift)]
    found = pooled(transients, fits, drift=settings.drift)
    n = sum(len(record.t_ns) for record in records)
    trouble = _trouble(found, transients) or _elsewhere(records, settings, float(found.best.tau_s[0]))
    return _refused(*trouble, n) if trouble is not None else _result(found, settings, n)


def _transient(record: StepRecord, skip_s: float) -> Transient:
    t_s = (record.t_ns - record.step_ns) / NS_PER_S
    after = t_s > max(skip_s, 0.0)  # at the instant of the step itself, modes without number have their part
    y = record.indication[after]
    if y.size < _SHORTEST:
        raise InvalidData(f"{y.size} samples after the step are too few: {_SHORTEST} are needed")
    if not bool(np.all(usable(y))):
        raise InvalidData(f"the indication is not finite, or beyond {LARGEST:g}")
    trouble = trouble_with("indication", y)
    if trouble and not _settled(y):
        raise InvalidData(trouble)
    return Transient.of(t_s[after], y)


def _settled(y: FloatArray) -> bool:
    """Whether values that repeat are those of a quantised response at its end, not of a clipped one.

    A quantised response repeats its values on the way too.
    """
    levels, counts = np.unique(y, return_counts=True)
    on_the_way = y[y != levels[np.argmax(counts)]]
    return levels.size > 2 and np.unique(on_the_way).size < on_the_way.size / 2


def _trouble(found: Pooled, transients: Sequence[Transient]) -> tuple[Verdict, str] | None:
    best = found.best
    flat = sum(float(np.sum(_straight(transient) ** 2)) for transient in transients)
    if flat - best.sse < _VISIBLE**2 * found.variance * found.correlation:
        return Verdict.NOT_EXCITED, "the step of the current does not show above the noise"
    longest = max(float(transient.t_s[-1] - transient.t_s[0]) for transient in transients)
    if longest < _MEMORIES * best.tau_s[0]:
        detail = f"records of {longest:.3g} s are short against a time constant of {best.tau_s[0]:.3g} s"
        return Verdict.NOT_EXCITED, f"{detail}: the response has not settled"
    return None


def _elsewhere(
    records: Sequence[StepRecord], settings: LoopCurrentSettings, slowest_s: float
) -> tuple[Verdict, str] | None:
    """Say that a transient did not begin at the stated instant, where that matters."""
    for record in records:
        t_s = (record.t_ns - record.step_ns) / NS_PER_S
        there = usable(record.indication)
        found = onset(t_s[there], record.indication[there], max(settings.skip_s, 0.0), drift=settings.drift)
        if found.surely and abs(found.late_s) > _NEAR * slowest_s:
            word = "after" if found.late_s > 0 else "before"
            detail = f"the transient begins about {abs(found.late_s):.3g} s {word} the stated instant of the step"
            return Verdict.INCONSISTENT, detail
    return None


def _straight(transient: Transient) -> FloatArray:
    basis = (
        np.stack([np.ones(transient.t_s.size), transient.t_s / transient.t_s[-1]], axis=1) * transient.weight[:, None]
    )
    y = transient.y * transient.weight
    return np.asarray(y - basis @ np.linalg.lstsq(basis, y, rcond=None)[0])


def _result(found: Pooled, settings: LoopCurrentSettings, n: int) -> LoopCurrentFit:
    """Average over the structures; how far they are from each other is part of the uncertainty."""
    # a mode too many is not determined, and what is not determined has no vote
    known = [each for each in found.beliefs if each.u_tau_s <= _DETERMINED * each.tau_s]
    ranked = sorted(known or found.beliefs, key=lambda each: -each.share)
    each_s, u_s, shares = np.array([(each.tau_s, each.u_tau_s, each.share) for each in ranked]).T
    shares = shares / shares.sum()
    tau = float(shares @ each_s)
    own = float(shares @ (u_s**2 + (each_s - tau) ** 2))
    best = ranked[0].fit
    verdict = Verdict.ACCEPTED
    detail = ", ".join(f"{name} {100 * share:.0f} %" for name, share in _by_name(ranked, shares).items())
    if own > (settings.max_relative_u * tau) ** 2:
        verdict, detail = Verdict.NOT_IDENTIFIABLE, f"the structures differ or are not determined: {detail}"
    return LoopCurrentFit(
        verdict=verdict,
        tau_s=tau,
        u_tau_s=float(np.hypot(np.sqrt(own), settings.u_method * tau)),
        structure=best.structure.name,
        modes_s=best.tau_s,
        amplitudes=best.left.amplitudes,
        mean_delay_s=float(shares @ [float(each.fit.tau_s.sum()) for each in ranked]),
        noise_std=float(np.sqrt(found.variance)),
        correlation=found.correlation,
        n_samples=n,
        method=METHOD,
        detail=detail,
    )


def _by_name(ranked: Sequence[Belief], shares: FloatArray) -> dict[str, float]:
    """Return the probability of each structure; one may be there with several optima."""
    total: dict[str, float] = {}
    for each, share in zip(ranked, shares.tolist(), strict=True):
        total[each.fit.structure.name] = total.get(each.fit.structure.name, 0.0) + share
    return total


def _refused(verdict: Verdict, detail: str, n: int) -> LoopCurrentFit:
    nan = float("nan")
    return LoopCurrentFit(verdict, nan, nan, "", np.empty(0), np.empty((0, 0)), nan, nan, nan, n, METHOD, detail)
