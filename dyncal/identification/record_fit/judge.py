"""What speaks against a fit, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.samples import FloatArray
from dyncal.identification.expected import against_expected
from dyncal.identification.record_fit.bridges import COMMANDED
from dyncal.identification.record_fit.method import WHITE, time_constants
from dyncal.identification.record_fit.segments import SHORTEST, Segment, Taken
from dyncal.identification.record_fit.settings import FARTHEST_CLOCK, RecordSettings
from dyncal.identification.record_fit.start import starts
from dyncal.identification.screen import clipped, constant, saturated, trouble_with_gain
from dyncal.identification.stated_noise import contradiction
from dyncal.models import Hold, SensorModel
from dyncal.models.base import ResponseModel
from dyncal.models.delayed import DELAY

_UNRELATED: Final = 0.5  # share of the indications' variance that is left
_SUSPICIOUS: Final = 0.02
_MUCH_BETTER: Final = 0.3  # ratio of relative variances that shows a swapped pair
_MEMORIES: Final = 3.0
_FASTEST: Final = 0.1  # of the sampling interval
_SURELY: Final = 6.0  # standard uncertainties
_ROUNDING: Final = 1e-9
_PILE: Final = 3  # samples at an end of the range
_SHOWN: Final = 4.0  # standard deviations: p < 3e-5


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reason, and the parameters that the record does not determine."""

    verdict: Verdict
    detail: str
    unobservable: tuple[str, ...] = ()


def before(taken: Taken, model: SensorModel, settings: RecordSettings) -> Judgement | None:
    """Say what is wrong with records before anything is fitted to them; None where nothing is."""
    if not taken.segments:
        detail = f"no piece of {SHORTEST} finite samples without a hole in the reference"
        return Judgement(Verdict.BAD_DATA, detail)
    needed = 2 * (model.n_parameters + model.n_states * len(taken.segments)) + 4
    if taken.n < needed:
        return Judgement(Verdict.BAD_DATA, f"{taken.n} indications are too few: {model.label} needs {needed} at least")
    for name, values in (("indication", taken.y), ("reference", taken.r)):
        still = constant(name, values)
        if still:
            return Judgement(Verdict.BAD_DATA, still)
    apart_s = FARTHEST_CLOCK * settings.u_clock_s
    if 2 * apart_s > taken.length_s:
        detail = f"clocks that may be {apart_s:.3g} s apart say nothing of lags in a record of {taken.length_s:.3g} s"
        return Judgement(Verdict.NOT_IDENTIFIABLE, detail, tuple(model.names[1:]))
    against = contradiction(taken.r, settings.u_reference_noise)
    return Judgement(Verdict.INCONSISTENT, against) if against else None


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the output-error fit says of the pair: η, residuals e (n,) of y (n,), share of the variance left, whiteness.

    Where dead times or splines need more of the reference than there is, y is less than all indications.
    """

    eta: FloatArray
    e: FloatArray
    y: FloatArray
    unexplained: float
    whiteness_p: float

    @property
    def misfit(self) -> bool:
        """Whether the residuals are anything but white noise."""
        return not self.whiteness_p >= WHITE


def against_pair(model: SensorModel, taken: Taken, says: Evidence) -> Judgement | None:
    """Say whether sensor and reference do not belong together as they are; None where nothing speaks against it."""
    fast, _ = time_constants(model, says.eta)
    if not says.misfit:
        beyond = _beyond(model, taken, says)
        return Judgement(Verdict.BAD_DATA, beyond) if beyond else None
    if (fast < 0.5 * taken.dt_s or says.unexplained > _SUSPICIOUS) and _swapped(model, taken, says.unexplained):
        detail = "the reference lags the sensor: the two seem to be swapped, or their clocks are apart"
        return Judgement(Verdict.INCONSISTENT, detail)
    full = _saturated(taken.r, says)
    if full:
        return Judgement(Verdict.BAD_DATA, full)
    if says.unexplained > _UNRELATED:
        detail = f"the reference does not explain {100 * min(says.unexplained, 1):.0f} % of what the sensor shows"
        return Judgement(Verdict.NOT_EXCITED, detail)
    return None


def _swapped(model: SensorModel, taken: Taken, unexplained: float) -> bool:
    """Tell whether the reference follows the sensor much better than the sensor the reference."""
    turned = [Segment(segment.t_ns, segment.r, segment.y) for segment in taken.segments]
    begins = list(starts(model, Taken(tuple(turned), 0, taken.dt_s), (0.0, 0.0), None))
    if not begins:
        return False
    best = min(begins, key=lambda begin: begin.unexplained)
    return best.unexplained < _MUCH_BETTER * unexplained and float(best.eta[0]) > 0


def _beyond(model: SensorModel, taken: Taken, says: Evidence) -> str:
    """Name a saturated reference by what the sensor shows beyond it, which white residuals may hide.

    What an excess of the measurand over the level leaves in the residuals is known but for its size (score test; what
    parameters imitate of it has gone from the residuals, which lowers the score).
    """
    if commanded(taken.r) or taken.y.size != says.e.size or not all(np.isfinite(s.r).all() for s in taken.segments):
        return ""
    power = float(np.mean(says.e**2))
    if power <= (_ROUNDING * float(np.std(taken.y))) ** 2:
        return ""
    for level, outward in ((taken.r.max(), 1.0), (taken.r.min(), -1.0)):
        n = int(np.count_nonzero(taken.r == level))
        if n < _PILE:
            continue
        shown = [
            model.simulate(model.from_internal(says.eta), each.t_ns, (each.r == level).astype(np.float64), Hold.FIRST)
            for each in taken.segments
        ]
        excess = np.concatenate([s[np.isfinite(each.y)] for s, each in zip(shown, taken.segments, strict=True)])
        score = outward * float(excess @ says.e) / float(np.sqrt(power * (excess @ excess)))
        if score > _SHOWN:
            return saturated("reference", float(level), n / taken.r.size)
    return ""


def commanded(reference: FloatArray) -> bool:
    """Tell whether a reference, shape (n,), is made of the levels of a command, which are no saturation."""
    return bool(np.unique(reference).size <= COMMANDED * reference.size)


def _saturated(r: FloatArray, says: Evidence) -> str:
    """Name a channel that stays at an end of its range while the other shows that it should not."""
    if not commanded(r):
        full = clipped("reference", r)
        if full:
            return full
    y = says.y
    for level, outward in ((y.max(), -1.0), (y.min(), 1.0)):
        at = y == level
        n = int(np.count_nonzero(at))
        if n >= 3 and float(says.e[at].mean()) * outward > _SURELY * float(np.std(says.e[~at])) / np.sqrt(n):
            return f"the indication is saturated at {level:.6g} ({100 * n / y.size:.1f} % of the samples)"
    return ""


def of_result(
    outer: ResponseModel,
    model: SensorModel,
    taken: Taken,
    settings: RecordSettings,
    eta: FloatArray,
    theta: FloatArray,
    cov: FloatArray,
) -> Judgement | None:
    """Say what speaks against the numbers themselves; None where they can be stood by."""
    if not bool(np.all(np.isfinite(theta)) and np.all(np.isfinite(cov))):
        return Judgement(Verdict.DIVERGED, "the estimate is not finite")
    fast, slow = time_constants(model, eta)
    missing = unobservable(outer, theta, cov, settings.max_relative_u, max(fast, taken.dt_s))
    if missing:
        names = ", ".join(missing)
        if taken.length_s < _MEMORIES * slow:
            detail = f"a record of {taken.length_s:.3g} s is short against a time constant of about {slow:.3g} s"
            return Judgement(Verdict.NOT_EXCITED, f"{detail}: it does not determine {names}", missing)
        return Judgement(Verdict.NOT_IDENTIFIABLE, f"the data do not determine {names}", missing)
    against = _implausible(outer, theta, cov, settings)
    if against:
        return Judgement(Verdict.INCONSISTENT, against)
    if fast < _FASTEST * taken.dt_s:
        detail = "the sensor is faster than its sampling can show: no lag to be identified"
        return Judgement(Verdict.NOT_IDENTIFIABLE, detail, tuple(outer.names[1:]))
    return None


def unobservable(
    outer: ResponseModel, theta: FloatArray, cov: FloatArray, limit: float, shortest_s: float
) -> tuple[str, ...]:
    """Name the parameters whose standard uncertainty exceeds `limit`, relative.

    A dead time, a lead and a rational model's coefficients may well be 0: they are measured against the shortest time
    that shapes the response (or can be seen), the longer lag, and the slowest lag to their power.
    """
    u = np.sqrt(np.maximum(np.diag(cov), 0.0))
    missing = []
    for name, value, own in zip(outer.names, theta.tolist(), u.tolist(), strict=True):
        size = abs(value)
        if name == DELAY:
            size = max(size, shortest_s)
        elif name == "tauz_s":
            size = max(size, abs(float(theta[1])))
        elif name[0] in "ab" and name[1:2].isdigit():
            longest = abs(float(theta[list(outer.names).index("a1_s")])) if "a1_s" in outer.names else shortest_s
            size = max(size, (abs(float(theta[0])) if name[0] == "b" else 1.0) * longest ** int(name[1]))
        if not own <= limit * size:
            missing.append(name)
    return tuple(missing)


def _implausible(outer: ResponseModel, theta: FloatArray, cov: FloatArray, settings: RecordSettings) -> str:
    u = np.sqrt(np.diag(cov))
    for name, value, own in zip(outer.names, theta.tolist(), u.tolist(), strict=True):
        if name == "gain" and "gain" not in settings.expected:
            trouble = trouble_with_gain(value)
            if trouble:
                return f"{trouble}; if such a gain is right, state its range (`expected`)"
        if against := against_expected(name, value, own, settings.expected):
            return against
        if name == DELAY and value < -_SURELY * own:
            return f"{name} is {value:.4g} s, before its cause: swapped, or clocks that are apart"
    return ""
