"""What a user of a design should know, in words."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dyncal.correction.design.spectrum import MeasurandSpectrum
from dyncal.domain.coefficients import Parameters

CERTAIN: Final = 0.1
"""Relative standard uncertainty of a parameter up to which first-order propagation is good without a word."""

_LITTLE: Final = 0.5  # share of the measurand's standard deviation: a larger error is said


def uncertain_names(parameters: Parameters) -> list[str]:
    """Return the parameters that are less than `CERTAIN`, by name and relative standard uncertainty."""
    sizes = np.abs(parameters.values)
    return [
        f"{name} ({u / size:.0%})" if size > 0 else name
        for name, u, size in zip(parameters.names, parameters.u, sizes, strict=True)
        if u > CERTAIN * size and name != "delay_s"
    ]


def of_uncertain(parameters: Parameters) -> tuple[str, ...]:
    """Return what to say of uncertain parameters."""
    names = uncertain_names(parameters)
    if not names:
        return ()
    return (f"uncertain by more than {CERTAIN:.0%}: {', '.join(names)}; the corrected values are biased",)


def of_lost(rms_error: float, spectrum: MeasurandSpectrum, dt_s: float) -> tuple[str, ...]:
    """Return what to say where little of the measurand comes back."""
    share = rms_error / math.sqrt(spectrum.variance)
    if share <= _LITTLE:
        return ()
    said = f"little is restored: the rms error is {share:.0%} of the measurand's own standard deviation"
    corner_hz, nyquist_hz = spectrum.corner_rad_s / (2 * math.pi), 0.5 / dt_s
    if corner_hz > nyquist_hz:
        said += f"; it goes up to {corner_hz:.3g} Hz, and samples show no more than {nyquist_hz:.3g} Hz"
    return (said,)
