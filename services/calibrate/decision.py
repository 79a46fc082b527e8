"""As found against as left: whether a candidate is better than what is in force, on data that its fit did not use.

On the same instants, let d = e_found² - e_left², the squared deviations from the reference with the coefficients that
were active and with the new ones. The candidate passes where mean(d) exceeds a guard band of w = 2.4 u(mean d) above
zero (JCGM 106:2012, 8.3: guarded acceptance), u from the scatter of 8 consecutive batches, because deviations that
follow each other are not independent. Where the measurand moves little in some batches and much in others, that
scatter hides even a tenfold improvement; so it passes, too, where mean(d) > 0 and the batches' ln(mean e_found² /
mean e_left²) exceeds zero by as many standard uncertainties as chance does once in a hundred times (Student's t; three
with 8 batches). Batches in which the two hardly differ say nothing of that: between shocks there is noise alone. They
are left out, where at least three stay; which, is asked of the differences of found and left, to which it is all one
who is the better. With 7 degrees of freedom the rules err in 2.4 % and 1.0 %; it may be looked at up to three times,
on a record that grows by half, so the risk of accepting a candidate that is no better is below 3 x 3.4 % (Bonferroni).

A candidate whose stated uncertainty is clearly smaller (at most 0.8 times) need not be better, only not worse: there
it is enough that mean(d) lies above a margin of -10 % of mean e_found² by the same guard band (non-inferiority; 5 %
of the rms deviation). Without that, a set made while a sensor drifted would keep its wide uncertainty for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from dyncal.correction.streaming.record import deviation
from dyncal.domain.calibration import Conformity
from dyncal.domain.samples import FloatArray

N_BATCHES: Final = 8
COVERAGE: Final = 2.4
RISK_RATIO: Final = 0.01
DIFFERENT: Final = 0.01
"""Mean squared difference of found and left, over the largest of all batches, from which on a batch says something."""
FEWEST: Final = 3
"""Batches that say something below which the ratio is not looked at."""
SMALLER_U: Final = 0.8
MARGIN: Final = 0.1
RULE: Final = (
    f"accepted where mean(e_found^2 - e_left^2) > {COVERAGE:g} u: guard band of {COVERAGE:g} standard uncertainties "
    f"from {N_BATCHES} batch means (JCGM 106, 8.3), or > 0 with mean ln(e_found^2/e_left^2) > 0 at a risk of "
    f"{RISK_RATIO:g} where the two differ, or, with u at most {SMALLER_U:g} times as large, > {COVERAGE:g} u - "
    f"{MARGIN:.0%} of e_found^2; on instants after the fit's window"
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The comparison and its outcome; `gain` = mean(d) and its standard uncertainty, in the square of the unit."""

    conformity: Conformity
    gain: float
    u_gain: float


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Values of the measurand, float64 of shape (n,), and their standard uncertainty, of the same shape or a float."""

    value: FloatArray
    u: FloatArray | float

    def at(self, where: npt.NDArray[np.bool_]) -> Values:
        """Return the entries that `where`, bool of shape (n,), picks."""
        return Values(self.value[where], self.u[where] if isinstance(self.u, np.ndarray) else self.u)


def judge(raw: Values, found: Values, left: Values, reference: FloatArray, u_reference: float = 0.0) -> Judgement:
    """Judge a candidate.

    Parameters
    ----------
    raw, found, left : Values
        Indications uncorrected, with the coefficients in force, and with the candidate, at the same n instants.
    reference : float64, shape (n,)
        The reference's indications at these instants; where any of the four is NaN, the instant is left out.
    u_reference : float
        Standard uncertainty of the reference, for the deviations' own.

    Returns
    -------
    Judgement
        Not passed where fewer than two samples a batch are left.

    Raises
    ------
    InvalidData
        If no instant can be compared.
    """
    usable = finite(raw.value, found.value, left.value, reference)
    raw, found, left, r = raw.at(usable), found.at(usable), left.at(usable), reference[usable]
    d = (found.value - r) ** 2 - (left.value - r) ** 2
    gain, u_gain = float("nan"), float("nan")
    better = False
    if d.size >= 2 * N_BATCHES:
        gain, u_gain = _mean(_batches(d))
        better = gain > COVERAGE * u_gain or (gain > 0 and _smaller(found.value, left.value, r))
        margin = MARGIN * float(np.mean((found.value - r) ** 2))
        better |= _rms(left.u) <= SMALLER_U * _rms(found.u) and gain + margin > COVERAGE * u_gain
    conformity = Conformity(
        raw=deviation(raw.value, raw.u, r, u_reference),
        as_found=deviation(found.value, found.u, r, u_reference),
        as_left=deviation(left.value, left.u, r, u_reference),
        rule=RULE,
        passed=better,
    )
    return Judgement(conformity, gain, u_gain)


def _smaller(found: FloatArray, left: FloatArray, r: FloatArray) -> bool:
    """Tell whether the deviations of `left` are smaller in the ratio, where the two differ at all."""
    difference = _batches((found - left) ** 2)
    where = difference >= DIFFERENT * difference.max()
    n = int(np.count_nonzero(where))
    if n < FEWEST:
        return False
    ratio, u = _mean(np.log(_squares(found - r) / _squares(left - r))[where])
    return bool(ratio > float(stdtrit(n - 1, 1 - RISK_RATIO)) * u)


def _rms(u: FloatArray | float) -> float:
    return float(np.sqrt(np.mean(np.square(u))))


def _batches(values: FloatArray) -> FloatArray:
    return np.array([part.mean() for part in np.array_split(values, N_BATCHES)])


def _squares(deviations: FloatArray) -> FloatArray:
    return np.maximum(_batches(deviations**2), np.finfo(np.float64).tiny)


def _mean(batches: FloatArray) -> tuple[float, float]:
    """Return the mean of independent batches and its standard uncertainty."""
    return float(batches.mean()), float(batches.std(ddof=1) / np.sqrt(batches.size))


def finite(*columns: FloatArray) -> npt.NDArray[np.bool_]:
    """Tell which entries are finite in all columns, bool of shape (n,)."""
    return np.asarray(np.logical_and.reduce([np.isfinite(c) for c in columns]))
