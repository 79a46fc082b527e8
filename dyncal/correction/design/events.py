"""u_model for shocks: what a filter does not restore of a pulse is lost while the pulse lasts, and only then.

The stationary u_model spreads the lost power of a class of signals over all time. Of a pulse with the amplitude
spectrum |U(ω)| (from its shape, or a bound that is known for it) the error is

    e(t) = (1/2π) ∫ E(ω) U(ω) e^{jωt} dω,      E = G H e^{jωD} - 1,

so that |e| ≤ b = (1/π)∫₀^∞ |E||U| dω at any time: the bound, taken as the half-width of a uniform distribution, gives
u = b/√3 (Eichstädt & Wilkens, J. Acoust. Soc. Am. 141 (2017) 4155, for regularised deconvolution); and the mean square
over an event of length T is (1/πT)∫₀^∞ |E|²|U|² dω by Parseval. Outside the event the term is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dyncal.correction.design.sensor import sensor_of
from dyncal.correction.design.watch import response_of
from dyncal.correction.folding import Folding
from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S

AmplitudeSpectrum = Callable[[FloatArray], FloatArray]
"""|U(ω)| [unit s] at ω [rad/s], shape as ω."""

_POINTS, _FOLDS = 1 << 13, 16


@dataclass(frozen=True, slots=True)
class EventTerm:
    """The term during an event, in the sensor's unit.

    Attributes
    ----------
    bound : float
        b: the largest error that the spectrum allows.
    rms : float
        Root mean square error over the event's length.
    duration_s : float
        Length of an event: the pulse and what the filter smears of it.
    """

    bound: float
    rms: float
    duration_s: float

    @property
    def u(self) -> float:
        """Standard uncertainty b/√3."""
        return self.bound / math.sqrt(3)


def half_sine(amplitude: float, duration_s: float) -> AmplitudeSpectrum:
    """Return the amplitude spectrum of a half-sine shock (ISO 16063-13).

    Raises
    ------
    InvalidData
        If amplitude or duration are not positive.
    """
    if not (0 < amplitude < math.inf and 0 < duration_s < math.inf):
        raise InvalidData(f"a shock needs a positive amplitude and duration, not {amplitude} and {duration_s}")

    def spectrum(omega: FloatArray) -> FloatArray:
        x = omega * duration_s / math.pi
        # 0/0 at x = 1, where the limit is π/4
        near = np.abs(x - 1) < 1e-6
        safe = np.where(near, 0.0, x)
        shape = np.where(near, math.pi / 4, np.abs(np.cos(safe * math.pi / 2) / (1 - safe**2)))
        return np.asarray(2 * amplitude * duration_s / math.pi * shape, np.float64)

    return spectrum


def event_term(
    correction: CorrectionFilter, parameters: Parameters, spectrum: AmplitudeSpectrum, pulse_s: float
) -> EventTerm:
    """Return the term for pulses of a spectrum, or within it, of length `pulse_s`.

    Raises
    ------
    InvalidData
        If the parameters are no stable sensor, or the spectrum is negative or not finite.
    """
    if not 0 < pulse_s < math.inf:
        raise InvalidData(f"a pulse cannot last {pulse_s} s")
    dt_s = correction.dt_ns / NS_PER_S
    # fine enough for the pulse and for the filter: the integrand turns once over 2π/(length of both)
    reach = pulse_s + correction.fir.size * dt_s
    points = max(_POINTS, 1 << math.ceil(math.log2(min(8 * reach / dt_s, 1e6))))
    folding = Folding(dt_s, points, _FOLDS)
    sensor = sensor_of(parameters)
    omega = folding.omega
    restored = folding.unfold(response_of(correction, folding)) * sensor.response(omega)
    lost = np.abs(restored * np.exp(1j * omega * correction.delay * dt_s) - 1)
    size = np.asarray(spectrum(omega), np.float64)
    if size.shape != omega.shape or not bool(np.all(np.isfinite(size) & (size >= 0))):
        raise InvalidData("an amplitude spectrum is finite and not negative, one number for each frequency")
    step = 1 / (points * dt_s)  # dω/π
    duration = pulse_s + correction.fir.size * dt_s
    return EventTerm(
        float(np.sum(lost * size)) * step, math.sqrt(float(np.sum((lost * size) ** 2)) * step / duration), duration
    )


def find_events(
    value: FloatArray, threshold: float, correction: CorrectionFilter, pulse_s: float
) -> npt.NDArray[np.bool_]:
    """Tell which entries of a corrected uniform record belong to an event.

    Those within a pulse's length and half of the filter's of an entry beyond the threshold; shape as `value`.

    Raises
    ------
    InvalidData
        If the threshold is not positive.
    """
    if not threshold > 0 or not pulse_s >= 0:
        raise InvalidData(f"events need a positive threshold, not {threshold}")
    with np.errstate(invalid="ignore"):
        beyond = np.abs(value) > threshold
    margin = math.ceil(pulse_s * NS_PER_S / correction.dt_ns) + correction.fir.size // 2
    count = np.cumsum(np.concatenate([[0], beyond]))
    n = value.size
    low = np.maximum(np.arange(n) - margin, 0)
    high = np.minimum(np.arange(n) + margin + 1, n)
    events: npt.NDArray[np.bool_] = count[high] > count[low]
    return events


def with_events(
    u: FloatArray, correction: CorrectionFilter, events: npt.NDArray[np.bool_], u_event: float
) -> FloatArray:
    """Return u with the event's term during events and none of u_model outside them, shape as `u`.

    Raises
    ------
    InvalidData
        If shapes differ or the term is negative or not finite.
    """
    if u.shape != events.shape or not 0 <= u_event < math.inf:
        raise InvalidData("u and events need one shape, and the event's term must be finite and not negative")
    rest = np.maximum(u**2 - correction.u_model**2, 0.0)
    return np.asarray(np.sqrt(rest + np.where(events, u_event**2, 0.0)), np.float64)
