"""The cross-relation as a weighted least-squares problem, the measurand eliminated.

For y1 = H1 u + v1 and y2 = H2 u + v2 the likelihood, maximised over an arbitrary u at each frequency, leaves ::

    e = (H2 Y1 - H1 Y2 - T) / √(|H2|² σ1² + |H1|² σ2²),        minimise Σ |e|²

(errors in variables: Pintelon & Schoukens, System Identification: A Frequency Domain Approach, 2nd ed., ch. 9 and 12).
Nothing is assumed of the measurand's spectrum. T, polynomials in s over the product of the denominators, takes what the
states at both ends of a segment add.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.identification.in_situ.spectra import PairSpectra
from dyncal.models import SensorModel
from dyncal.models.base import ComplexArray

_MAX_PASSES: Final = 60
_FARTHEST: Final = 40.0
_LONGEST_STEP: Final = 1.5
_TOLERANCE: Final = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """Residuals at one x, transients removed.

    e (2 n_f,): real and imaginary parts, each of variance 1 where everything fits; jacobian (2 n_f, q); lag (2 n_f,):
    effect of a unit offset [s] of the second sensor's clock. noise (2, n_f): what each frequency says of the noise
    variances, with weight (2, n_f).
    """

    x: FloatArray
    e: FloatArray
    jacobian: FloatArray
    lag: FloatArray
    noise: FloatArray
    weight: FloatArray

    @property
    def chi2(self) -> float:
        """Sum of squares."""
        return float(self.e @ self.e)


class CrossRelation:
    """Coordinates x: η of the first sensor but for its gain, which is stated; then η of the second."""

    def __init__(self, first: SensorModel, second: SensorModel, spectra: PairSpectra, gain_first: float) -> None:
        self.first, self.second = first, second
        self.spectra = spectra
        self._gain = gain_first

    @property
    def n_degrees(self) -> int:
        """Degrees of freedom of chi2: real values less what was fitted."""
        columns = self.spectra.transients.shape[1]
        return int(2 * self.spectra.f_hz.size - columns - self.first.n_parameters + 1 - self.second.n_parameters)

    def split(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return both η."""
        p = self.first.n_parameters
        return np.concatenate([[self._gain], x[: p - 1]]), x[p - 1 :]

    def evaluate(self, x: FloatArray, noise: FloatArray) -> Residuals | None:
        """Return the residuals for noise variances (2,); None where no sensor is."""
        eta1, eta2 = self.split(x)
        if bool(np.any(np.abs(eta1[1:]) > _FARTHEST) or np.any(np.abs(eta2[1:]) > _FARTHEST)):
            return None
        f = self.spectra.f_hz
        h1, d1 = _response(self.first, eta1, f)
        h2, d2 = _response(self.second, eta2, f)
        y1, y2 = self.spectra.first, self.spectra.second
        variance = noise[0] * np.abs(h2) ** 2 + noise[1] * np.abs(h1) ** 2
        if not bool(np.all(variance > 0)):
            return None
        w = np.sqrt(variance)
        e = (h2 * y1 - h1 * y2) / w
        by_first = -d1 * (y2 / w)[:, None] - (e / w**2 * noise[1])[:, None] * np.real(np.conj(h1)[:, None] * d1)
        by_second = d2 * (y1 / w)[:, None] - (e / w**2 * noise[0])[:, None] * np.real(np.conj(h2)[:, None] * d2)
        lag = self.spectra.s * h1 * y2 / w
        both = _denominator(self.first, eta1, f) * _denominator(self.second, eta2, f)
        basis = self.spectra.transients / (w * both)[:, None]
        columns = np.concatenate([e[:, None], by_first[:, 1:], by_second, lag[:, None]], axis=1)
        if not bool(np.all(np.isfinite(columns))) or not bool(np.all(np.isfinite(basis))):
            return None
        rest = np.sqrt(2) * _without(_stacked(basis), _stacked(columns))
        # with R = H2 V1 - H1 V2, E Re{Y1* R/H2} = σ1² and E Re{-Y2* R/H1} = σ2², whatever the measurand
        r = (rest[: f.size, 0] + 1j * rest[f.size :, 0]) * w / np.sqrt(2)
        said = np.stack([np.real(np.conj(y1) * r / h2), -np.real(np.conj(y2) * r / h1)])
        weight = np.stack([np.abs(h2 / w) ** 2, np.abs(h1 / w) ** 2]) / self.spectra.power
        return Residuals(x, rest[:, 0], rest[:, 1:-1], rest[:, -1], said, weight)

    def solve(self, x: FloatArray, noise: FloatArray) -> Residuals | None:
        """Minimise from x by Levenberg-Marquardt; None where that finds no minimum."""
        here = self.evaluate(x, noise)
        damping = 1e-3
        for _ in range(_MAX_PASSES):
            if here is None:
                return None
            normal, gradient = here.jacobian.T @ here.jacobian, here.jacobian.T @ here.e
            step = _step(normal, gradient, damping)
            there = self.evaluate(here.x - step, noise) if step is not None else None
            if step is not None and float(step @ gradient) < _TOLERANCE * here.e.size:
                return here
            if there is not None and there.chi2 < here.chi2:
                here, damping = there, max(damping / 10, 1e-12)
            elif damping > 1e9:
                return None
            else:
                damping = max(10 * damping, 1e-6)
        return None


def start_ratio(spectra: PairSpectra) -> float:
    """Return the ratio of the second sensor's gain to the first's, roughly: at the lowest frequencies."""
    low = np.argsort(spectra.f_hz)[: max(6, spectra.f_hz.size // 200)]
    y1, y2 = spectra.first[low], spectra.second[low]
    return float(np.real(np.vdot(y1, y2)) / max(float(np.real(np.vdot(y1, y1))), 1e-300))


def noise_of(at: Residuals, least: float) -> FloatArray:
    """Return the noise variances (2,) that all frequencies say together, none below `least`."""
    return np.asarray(np.maximum(np.sum(at.weight * at.noise, axis=1) / np.sum(at.weight, axis=1), least))


def _response(model: SensorModel, eta: FloatArray, f_hz: FloatArray) -> tuple[ComplexArray, ComplexArray]:
    theta = model.from_internal(eta)
    return model.frequency_response(theta, f_hz), model.jacobian(theta, f_hz) @ model.internal_jacobian(eta)


def _denominator(model: SensorModel, eta: FloatArray, f_hz: FloatArray) -> ComplexArray:
    """Return Π(1 - s/p) over the model's poles."""
    poles = np.linalg.eigvals(model.state_space(eta).a)
    return np.asarray(np.prod(1 - 2j * np.pi * f_hz[:, None] / poles, axis=1))


def _stacked(values: ComplexArray) -> FloatArray:
    return np.concatenate([values.real, values.imag])


def _without(basis: FloatArray, columns: FloatArray) -> FloatArray:
    q, _ = np.linalg.qr(basis)
    return np.asarray(columns - q @ (q.T @ columns))


def _step(normal: FloatArray, gradient: FloatArray, damping: float) -> FloatArray | None:
    scale = np.sqrt(np.maximum(np.diag(normal), 1e-300))
    try:
        factor = cho_factor(normal / np.outer(scale, scale) + (damping + 1e-13) * np.eye(scale.size))
    except LinAlgError:
        return None
    step = cho_solve(factor, gradient / scale) / scale
    return np.asarray(step * min(1.0, _LONGEST_STEP / max(float(np.abs(step).max()), 1e-300)))


def check_gain(gain: float, u_gain: float) -> None:
    """Raise `InvalidData` for a gain that cannot be stated."""
    if not 0 < gain < np.inf or not 0 <= u_gain < np.inf:
        raise InvalidData(f"the first sensor's gain must be positive and its u not negative, not {gain} and {u_gain}")
