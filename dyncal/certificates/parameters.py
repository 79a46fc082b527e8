"""Units of physical parameters, and the frequency response that parameters give, with its covariance."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from dyncal.certificates.units import HERTZ, ONE, SECOND, Unit
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import NS_PER_S
from dyncal.models import named_model
from dyncal.models.base import ComplexArray

_SECONDS: Final = re.compile(r".+_s([2-9]?)")
_STATIC: Final = re.compile(r"c(\d{1,2})")
_POINTS: Final = 31
_HALF_POWER: Final = 0.5**0.5


def parameter_unit(name: str, indication: Unit, measurand: Unit) -> Unit:
    """Return the unit of a parameter by its name, such as ``tau_s``. Raises `InvalidData` for a name without unit."""
    if name == "gain":
        return indication / measurand
    if name == "damping":
        return ONE
    if name.endswith("_hz"):
        return HERTZ
    if found := _SECONDS.fullmatch(name):
        return SECOND ** int(found[1] or "1")
    if found := _STATIC.fullmatch(name):
        power = int(found[1])
        return measurand.difference if power == 0 else measurand / indication**power
    raise InvalidData(f"parameter {name!r} does not say its unit")


def response_covariance(parameters: Parameters, f_hz: FloatArray) -> tuple[ComplexArray, FloatArray]:
    """Return H(j2πf) and the covariance of (ln |H|, arg H) at each frequency.

    With J = ∂H/∂θ and U_θ the parameters' covariance: cov = A U_θ Aᵀ, A = (Re J/H; Im J/H) (JCGM 102, 6.2.1).

    Returns
    -------
    response : complex128, shape (n,)
    cov : float64, shape (n, 2, 2)

    Raises
    ------
    InvalidData
        For a static model, which has no frequency response, and where H is 0.
    """
    model = named_model(parameters.model, parameters.names)
    response = model.frequency_response(parameters.values, f_hz)
    if bool(np.any(response == 0)):
        raise InvalidData(f"the response at {f_hz[int(np.argmax(response == 0))]} Hz is exactly 0")
    logarithmic = model.jacobian(parameters.values, f_hz) / response[:, None]
    a = np.stack([logarithmic.real, logarithmic.imag], axis=1)
    cov = a @ parameters.cov @ a.transpose(0, 2, 1)
    return response, (cov + cov.transpose(0, 2, 1)) / 2


def default_frequencies(parameters: Parameters, dt_ns: int) -> FloatArray:
    """Return frequencies [Hz] at which to state the response: a thirtieth to ten times the corner, up to Nyquist.

    The corner is where |H| first leaves its value at 0 Hz by 3 dB, either way; without one, a hundredth of the
    Nyquist frequency to itself. Empty for a static model.
    """
    if parameters.model is ModelKind.STATIC:
        return np.array([])
    nyquist = 0.5 * NS_PER_S / dt_ns
    model = named_model(parameters.model, parameters.names)
    tried = np.concatenate([[0.0], np.geomspace(1e-7 * nyquist, nyquist, 2001)])
    relative = np.abs(model.frequency_response(parameters.values, tried))
    relative /= relative[0]
    outside = (relative < _HALF_POWER) | (relative > 1 / _HALF_POWER)
    corner = float(tried[int(np.argmax(outside))]) if bool(np.any(outside)) else 0.3 * nyquist
    return np.geomspace(corner / 30, min(10 * corner, nyquist), _POINTS)
