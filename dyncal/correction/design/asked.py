"""What every design of a correction asks of its arguments."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np

from dyncal.correction.design.spectrum import MeasurandSpectrum
from dyncal.domain.errors import InvalidData

_SMALLEST, _LARGEST = 1e-100, 1e100
_MOST_TAPS = 4096  # as many are run


def check_asked(dt_ns: object, noise_std: object, spectrum: object, **durations_s: object) -> None:
    """Raise `InvalidData` unless arguments, whatever they are, are what they must be.

    Parameters
    ----------
    dt_ns : int
        A whole number of nanoseconds: a float of an interval seldom is one.
    noise_std : float
        Finite, not negative, below 1e100.
    spectrum : MeasurandSpectrum
        Its variance within 1e-100 and 1e100.
    **durations_s : float, optional
        Finite and not negative, each, where it is given [s].
    """
    if not isinstance(dt_ns, int | np.integer) or isinstance(dt_ns, bool) or not dt_ns > 0:
        raise InvalidData(f"dt_ns must be a whole number of nanoseconds above 0, not {dt_ns!r}")
    if not _within(noise_std, _LARGEST):
        raise InvalidData(f"noise_std must be finite and not negative, not {noise_std!r}")
    if not isinstance(spectrum, MeasurandSpectrum):
        raise InvalidData(f"a measurand is stated by a MeasurandSpectrum, not by {type(spectrum).__name__}")
    if not _SMALLEST < spectrum.variance < _LARGEST:
        raise InvalidData(f"a measurand of variance {spectrum.variance:g} leaves the range of numbers")
    for name, value in durations_s.items():
        if value is not None and not _within(value, math.inf):
            raise InvalidData(f"{name} cannot be {value!r}")


def check_limits(max_taps: object, max_noise_gain: object) -> None:
    """Raise `InvalidData` unless taps are 2 to 4096 at most and the noise gain may be 1, that of no correction."""
    if not isinstance(max_taps, int | np.integer) or not 2 <= max_taps <= _MOST_TAPS:
        raise InvalidData(f"a design needs max_taps between 2 and {_MOST_TAPS}, not {max_taps!r}")
    if not isinstance(max_noise_gain, Real) or not float(max_noise_gain) >= 1:
        raise InvalidData(f"max_noise_gain is 1 or more, as no sensor is corrected with less, not {max_noise_gain!r}")


def _within(value: object, end: float) -> bool:
    return isinstance(value, Real) and 0 <= float(value) < end
