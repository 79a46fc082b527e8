"""From an accepted fit to a coefficient set that can be judged."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Final

from dyncal.correction.design.spectrum import MeasurandSpectrum
from dyncal.correction.forms import dc_gain_of
from dyncal.correction.safety import SafetyLimits, check
from dyncal.domain.calibration import Conformity, Deviation
from dyncal.domain.coefficients import CoefficientSet, Correction, CorrectionFilter, Parameters, Provenance
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import Pairing, Sensor
from dyncal.domain.time import DurationNs, InstantNs, seconds
from dyncal.identification.records import Estimate
from services.calibrate import form
from services.calibrate.stages import Stage, stage
from services.calibrate.window import Window

_RESIDUAL_FACTOR: Final = 4.0
MIN_SPECTRUM_SAMPLES: Final = 128

LIMITS: Final = SafetyLimits()


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A correction that waits to be judged on data that come after `frozen_ns`, and the fit that it came from.

    `cov_statistical` is the parameters' covariance without what reference and clock contribute systematically.
    """

    parameters: Parameters
    cov_statistical: FloatArray
    estimate: Estimate
    correction: Correction
    spectrum: MeasurandSpectrum
    frozen_ns: InstantNs
    why: str


def noise_of(estimate: Estimate, spectrum: MeasurandSpectrum | None = None) -> float | None:
    """Return the standard deviation of the sensor's noise that a design may rely on, or None."""
    for value in (estimate.noise_std, spectrum.noise_std if spectrum is not None else None):
        if value is not None and math.isfinite(value) and value > 0:
            return float(value)
    return None


def measurand(window: Window, sensor: Sensor, pairing: Pairing, estimate: Estimate) -> MeasurandSpectrum:
    """Return the measurand's spectrum as `form.measurand` does; raise `InvalidData` also of too few samples."""
    if estimate.parameters is None or len(window) < MIN_SPECTRUM_SAMPLES:
        raise InvalidData("too few samples for the measurand's spectrum")
    return form.measurand(window, sensor, pairing, estimate.parameters, noise_of(estimate))


def band_of(corner_rad_s: float, pairing: Pairing, dt_ns: DurationNs) -> float:
    """Return the band [Hz] in which the response matters: as wished, or where the measurand has its power."""
    nyquist = 0.5 / seconds(dt_ns)
    return min(pairing.band_hz or 1.2 * corner_rad_s / (2 * math.pi), 0.8 * nyquist)


def make(
    estimate: Estimate,
    widened: Parameters,
    cov_statistical: FloatArray,
    spectrum: MeasurandSpectrum,
    window: Window,
    sensor: Sensor,
    pairing: Pairing,
    frozen_ns: InstantNs,
    why: str,
) -> Candidate:
    """Design the correction of an accepted estimate, for its parameters with the covariance `widened`.

    Raises
    ------
    InvalidData
        If there is no noise to weigh the signal against, or the design refuses the wish.
    """
    noise_std = noise_of(estimate, spectrum)
    if noise_std is None:
        raise InvalidData("the fit gives no noise")
    with stage(Stage.DESIGN):
        correction = form.designed(window, sensor, pairing, widened, noise_std, spectrum)
    return Candidate(widened, cov_statistical, estimate, correction, spectrum, frozen_ns, why)


def set_of(
    candidate: Candidate,
    sensor: Sensor,
    pairing: Pairing,
    sequence: int,
    parent: str | None,
    now_ns: InstantNs,
    conformity: Conformity,
) -> CoefficientSet:
    """Return the set of a candidate that was judged.

    `residual_limit` of a filter is 4 times the larger of the rms deviation as left, with its uncertainty, and of what
    the set states itself for noise and band; of a smoother, whose innovations are judged, 4 times the noise. The gain
    at DC may differ from its value by 5 % and three standard uncertainties
    of the sensor's gain.

    Raises
    ------
    RejectedSet
        If no edge would accept it.
    """
    p, f, fit = candidate.parameters, candidate.correction, candidate.estimate
    calibration_id = f"{sensor.id}.cal.{sequence}-{_digest(candidate)}"
    coefficients = CoefficientSet(
        id=f"{sensor.id}.{sequence}-{_digest(candidate)}",
        sensor=sensor.id,
        sequence=sequence,
        parent=parent,
        parameters=p,
        correction=f,
        gain_limits=_gain_limits(p, f),
        valid_from_ns=now_ns,
        provenance=Provenance(
            calibration_id=calibration_id,
            reference=pairing.reference,
            fitted_at_ns=candidate.frozen_ns,
            window_from_ns=InstantNs(fit.window_from_ns),
            window_to_ns=InstantNs(fit.window_to_ns),
            n_samples=fit.n_samples,
        ),
        residual_limit=_RESIDUAL_FACTOR * _normal_residual(f, conformity.as_left),
        note=candidate.why,
    )
    check(coefficients, LIMITS, dt_ns=sensor.dt_ns)
    return coefficients


def _normal_residual(correction: Correction, left: Deviation) -> float:
    if not isinstance(correction, CorrectionFilter):
        return correction.noise_std
    stated = math.hypot(correction.u_noise, correction.u_model)
    return math.hypot(max(left.rms, stated), left.u)


def _gain_limits(parameters: Parameters, correction: Correction) -> tuple[float, float]:
    dc = dc_gain_of(correction, parameters)
    share = 0.05
    if "gain" in parameters.names:
        k = parameters.names.index("gain")
        share += 3 * float(parameters.u[k] / abs(parameters.values[k]))
    low, high = sorted((dc * (1 - min(share, 0.5)), dc * (1 + min(share, 0.5))))
    return low, high


def _digest(candidate: Candidate) -> str:
    f = candidate.correction
    content = (
        candidate.parameters.values.tobytes()
        + (f.fir.tobytes() if isinstance(f, CorrectionFilter) else repr(f).encode())
        + candidate.frozen_ns.to_bytes(8, "big", signed=True)
    )
    return hashlib.sha256(content).hexdigest()[:8]
