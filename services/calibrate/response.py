"""How well the response is known, and how far two responses are apart: what a correction feels of the parameters."""

from __future__ import annotations

import functools
from typing import Final

import numpy as np

from dyncal.domain.coefficients import Parameters
from dyncal.domain.samples import FloatArray
from dyncal.drift.baseline import invert
from dyncal.models import named_model

_N_FREQUENCIES: Final = 24
_DECADES: Final = 2.0
_RELATIVE: Final = np.logspace(-_DECADES, 0.0, _N_FREQUENCIES)


def frequencies(band_hz: float) -> FloatArray:
    """Return the frequencies [Hz], shape (24,), at which responses are compared: two decades up to `band_hz`."""
    return band_hz * _RELATIVE


def relative_u(parameters: Parameters, band_hz: float, cov: FloatArray | None = None) -> float:
    """Return the relative standard uncertainty of H, root mean square over the band: |J U Jᴴ| / |H|².

    `cov`, shape (p, p), stands in for the parameters' own covariance where it is given.
    """
    model = named_model(parameters.model, parameters.names)
    f = frequencies(band_hz)
    h = model.frequency_response(parameters.values, f)
    relative = model.jacobian(parameters.values, f) / h[:, None]
    u = parameters.cov if cov is None else cov
    variance = np.einsum("fi,ij,fj->f", relative, u, relative.conj()).real
    return float(np.sqrt(max(float(np.mean(variance)), 0.0)))


def relative_change(new: Parameters, old: Parameters, band_hz: float) -> float:
    """Return |H_new/H_old - 1|, root mean square over the band; infinite where the models differ."""
    if (new.model, new.names) != (old.model, old.names):
        return float("inf")
    model = named_model(new.model, new.names)
    f = frequencies(band_hz)
    ratio = model.frequency_response(new.values, f) / model.frequency_response(old.values, f)
    return float(np.sqrt(np.mean(np.abs(ratio - 1) ** 2)))


def distance(new: FloatArray, cov_new: FloatArray, old: FloatArray, cov_old: FloatArray) -> float:
    """Return the squared Mahalanobis distance of two parameter vectors, taken as independent."""
    difference = new - old
    inverse = invert(cov_new + cov_old)
    if inverse is not None:
        return float(difference @ inverse @ difference)
    scale = np.sqrt(np.diag(cov_new) + np.diag(cov_old))
    if not bool(np.all(scale > 0)):
        return float("inf") if bool(np.any(difference != 0)) else 0.0
    together = (cov_new + cov_old) / np.outer(scale, scale)
    whitened = difference / scale
    return float(whitened @ np.linalg.pinv(together) @ whitened)


def significant(distance2: float, n: int, level: float) -> bool:
    """Tell whether a squared Mahalanobis distance of n parameters is beyond what chance gives at `level`."""
    return distance2 > _quantile(n, level)


@functools.lru_cache(maxsize=64)
def _quantile(n: int, level: float) -> float:
    """Return what χ² of n degrees stays below with probability `level`."""
    from scipy.special import chdtri  # noqa: PLC0415 - a service that starts does not wait for it

    return float(chdtri(n, 1 - level))
