"""Calibrations: the result of a fit, with what speaks for and against it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from dyncal.domain.coefficients import Parameters
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs


class Verdict(enum.StrEnum):
    """What a fit is worth."""

    ACCEPTED = "accepted"
    NOT_EXCITED = "not_excited"
    NOT_IDENTIFIABLE = "not_identifiable"
    INCONSISTENT = "inconsistent"
    DIVERGED = "diverged"
    BAD_DATA = "bad_data"


@dataclass(frozen=True, slots=True)
class Deviation:
    """Deviation of corrected indications from the reference on data that the fit did not use.

    `rms` and `maximum` in the sensor's unit over `n` samples; `u` is the standard uncertainty of the comparison.
    """

    rms: float
    maximum: float
    u: float
    n: int


@dataclass(frozen=True, slots=True)
class Conformity:
    """As found against as left, and the decision rule applied (ISO/IEC 17025, 7.8.6; JCGM 106).

    `as_found` is the deviation with the coefficients that were active, `as_left` with the new ones; `raw` uncorrected.
    """

    raw: Deviation
    as_found: Deviation
    as_left: Deviation
    rule: str
    passed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """One fit of one sensor against one reference.

    Attributes
    ----------
    parameters : Parameters
        θ̂ with covariance.
    unobservable : tuple of str
        Parameters that these data cannot determine, by name.
    reduced_chi2 : float
        Residual variance over the variance that the model expects.
    whiteness_p : float
        p-value of the residuals' whiteness (Ljung-Box).
    noise_std : float
        Standard deviation of the sensor's noise, in the sensor's unit.
    method : str
        The estimator that was used, by name.
    detail : str
        For people: why the verdict is what it is.
    """

    id: str
    sensor: SensorId
    reference: SensorId
    parameters: Parameters
    verdict: Verdict
    unobservable: tuple[str, ...]
    reduced_chi2: float
    whiteness_p: float
    noise_std: float
    n_samples: int
    window_from_ns: InstantNs
    window_to_ns: InstantNs
    fitted_at_ns: InstantNs
    method: str
    detail: str = ""
    conformity: Conformity | None = None


_BASELINE: Final = ".baseline."


def baseline_id(sensor: SensorId, at_ns: InstantNs) -> str:
    """Return the id of the calibration that the tolerances of a sensor are relative to from an instant on."""
    return f"{sensor}{_BASELINE}{at_ns}"


def is_baseline(calibration_id: str) -> bool:
    """Tell whether a calibration is one that tolerances are relative to."""
    return _BASELINE in calibration_id
