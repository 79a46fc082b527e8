"""Frequency-response points as laboratories deliver them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.choices import choice
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.models.base import ComplexArray

_DB: Final = 20 / np.log(10)
_INDEFINITE: Final = 1e-12
_MANY_TURNS: Final = 8 * np.pi


class Magnitude(enum.StrEnum):
    """How a magnitude is stated."""

    LINEAR = "linear"
    DB = "dB"


class PhaseUnit(enum.StrEnum):
    """How a phase is stated."""

    DEGREES = "deg"
    RADIANS = "rad"


class PhaseSign(enum.StrEnum):
    """Which sign a laboratory gives to a lag of the indication behind the measurand.

    dyncal's own is `LAG_NEGATIVE`: arg H, as ISO 16063 and e^(+jωt) have it.
    """

    LAG_NEGATIVE = "lag negative"
    LAG_POSITIVE = "lag positive"


class Form(enum.StrEnum):
    """The coordinates in which the errors of points are normal."""

    COMPLEX = "complex"
    POLAR = "polar"


@dataclass(frozen=True, slots=True, eq=False)
class FrequencyPoints:
    """Points of one laboratory, with its random and its systematic uncertainties.

    The likelihood is normal in (Re H, Im H) for `Form.COMPLEX` and in (ln |H|, arg H) for `Form.POLAR`. The covariance
    holds what differs from point to point; what all points of a laboratory share belongs in the last two fields.

    Attributes
    ----------
    f_hz : float64, shape (n,)
        Frequencies [Hz], not negative, each once, in any order.
    response : complex128, shape (n,)
        H(j2πf), lag with negative phase.
    cov : float64, shape (n, 2, 2) or (2n, 2n)
        In the coordinates of `form`, of each point or of all: then first all real parts (logarithmic magnitudes), then
        all imaginary parts (phases [rad]). Positive definite.
    laboratory : str
    u_magnitude : float
        Relative standard uncertainty of a magnitude factor that all points share.
    u_delay_s : float
        Standard uncertainty of a time offset that all points share [s]; positive means later.
    """

    f_hz: FloatArray
    response: ComplexArray
    cov: FloatArray
    laboratory: str = "laboratory"
    form: Form = Form.COMPLEX
    u_magnitude: float = 0.0
    u_delay_s: float = 0.0
    whitener: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        who = self.laboratory
        object.__setattr__(self, "form", choice(Form, self.form, "form"))
        f, response = np.asarray(self.f_hz, dtype=np.float64), np.asarray(self.response, dtype=np.complex128)
        cov = np.asarray(self.cov, dtype=np.float64)
        if f.ndim != 1 or f.size == 0 or response.shape != f.shape:
            raise InvalidData(f"{who}: {f.shape} frequencies and {response.shape} responses do not go together")
        _check_frequencies(who, f)
        _check_finite(who, f, response, "response")
        if bool(np.any(response == 0)):
            raise InvalidData(f"{who}: the response at {_first(f, response == 0)} is exactly 0")
        for name in ("u_magnitude", "u_delay_s"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InvalidData(f"{who}: {name} must be finite and not negative, not {getattr(self, name)}")
        for name, value in (("f_hz", f), ("response", response), ("cov", cov)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "whitener", _whitener(who, f, cov))

    def __len__(self) -> int:
        return int(self.f_hz.size)

    @classmethod
    def from_magnitude_phase(
        cls,
        f_hz: npt.ArrayLike,
        magnitude: npt.ArrayLike,
        phase: npt.ArrayLike,
        u_magnitude: npt.ArrayLike,
        u_phase: npt.ArrayLike,
        *,
        magnitude_as: Magnitude = Magnitude.LINEAR,
        phase_unit: PhaseUnit = PhaseUnit.DEGREES,
        phase_sign: PhaseSign = PhaseSign.LAG_NEGATIVE,
        correlation: npt.ArrayLike = 0.0,
        laboratory: str = "laboratory",
        u_common_magnitude: float = 0.0,
        u_delay_s: float = 0.0,
    ) -> FrequencyPoints:
        """Return points from what certificates list.

        Parameters
        ----------
        magnitude, u_magnitude : float64, shape (n,)
            In the sensor's unit, or both in dB.
        phase, u_phase : float64, shape (n,)
            In `phase_unit`; wrapped or not.
        correlation : float64, shape (n,) or one
            Of the errors of magnitude and phase, in the laboratory's sign convention.
        u_common_magnitude : float
            Relative; see `u_magnitude` of the class.

        Raises
        ------
        InvalidData
            Naming what cannot be: a magnitude of 0 or less that is not in dB, an uncertainty of 0, a shape.
        """
        magnitude_as = choice(Magnitude, magnitude_as, "magnitude_as")
        phase_unit = choice(PhaseUnit, phase_unit, "phase_unit")
        phase_sign = choice(PhaseSign, phase_sign, "phase_sign")
        f, mag, arg, u_mag, u_arg, rho = _columns(laboratory, f_hz, magnitude, phase, u_magnitude, u_phase, correlation)
        if magnitude_as is Magnitude.LINEAR:
            if bool(np.any(mag <= 0)):
                where = _first(f, mag <= 0)
                raise InvalidData(f"{laboratory}: the magnitude at {where} is not positive; is it in dB?")
            log, u_log = np.log(mag), u_mag / mag
        else:
            log, u_log = mag / _DB, u_mag / _DB
        if bool(np.any(np.abs(log) > 300)):
            where = _first(f, np.abs(log) > 300)
            raise InvalidData(f"{laboratory}: the magnitude at {where} is beyond all measure; is it linear, not in dB?")
        if bool(np.any(np.abs(rho) >= 1)):
            raise InvalidData(f"{laboratory}: the correlation at {_first(f, np.abs(rho) >= 1)} is not between -1 and 1")
        if phase_unit is PhaseUnit.RADIANS and bool(np.any(np.abs(arg) > _MANY_TURNS)):
            where = _first(f, np.abs(arg) > _MANY_TURNS)
            raise InvalidData(f"{laboratory}: the phase at {where} is many turns; is it in degrees?")
        sign = -1.0 if phase_sign is PhaseSign.LAG_POSITIVE else 1.0
        scale = sign * (np.pi / 180 if phase_unit is PhaseUnit.DEGREES else 1.0)
        u_angle = u_arg * abs(scale)
        cross = sign * rho * u_log * u_angle
        cov = np.stack([np.stack([u_log**2, cross], axis=-1), np.stack([cross, u_angle**2], axis=-1)], axis=-2)
        response = np.exp(log + 1j * scale * arg)
        return cls(f, response, cov, laboratory, Form.POLAR, u_common_magnitude, u_delay_s)

    @property
    def relative_u(self) -> FloatArray:
        """Rough standard uncertainty of each point relative to its magnitude, shape (n,): for start values."""
        n = len(self)
        spread = np.diag(self.cov)[:n] + np.diag(self.cov)[n:] if self.cov.ndim == 2 else np.trace(self.cov.T)
        u = np.sqrt(spread / 2)
        return np.asarray(u / np.abs(self.response) if self.form is Form.COMPLEX else u)


def _columns(laboratory: str, *given: npt.ArrayLike) -> list[FloatArray]:
    names = ("frequency", "magnitude", "phase", "u of magnitude", "u of phase", "correlation")
    f = np.atleast_1d(np.asarray(given[0], dtype=np.float64))
    columns = []
    for name, values in zip(names, given, strict=True):
        column = np.asarray(values, dtype=np.float64)
        if column.shape not in {f.shape, ()}:
            raise InvalidData(f"{laboratory}: {column.shape} values of {name} for {f.shape} frequencies")
        column = np.broadcast_to(column, f.shape)
        _check_finite(laboratory, f, column, name)
        if name.startswith("u ") and bool(np.any(column <= 0)):
            raise InvalidData(f"{laboratory}: {name} at {_first(f, column <= 0)} is not positive")
        columns.append(column)
    return columns


def _check_frequencies(laboratory: str, f_hz: FloatArray) -> None:
    if not bool(np.all(np.isfinite(f_hz))):
        raise InvalidData(f"{laboratory}: frequency {int(np.argmin(np.isfinite(f_hz)))} is not finite")
    if bool(np.any(f_hz < 0)):
        raise InvalidData(f"{laboratory}: the frequency {f_hz.min()} Hz is negative")
    values, counts = np.unique(f_hz, return_counts=True)
    if bool(np.any(counts > 1)):
        raise InvalidData(
            f"{laboratory}: the frequency {values[counts > 1][0]} Hz is there {counts.max()} times; "
            "give repeated measurements as their mean, or as another laboratory"
        )


def _check_finite(laboratory: str, f_hz: FloatArray, values: FloatArray | ComplexArray, name: str) -> None:
    good = np.isfinite(values)
    if not bool(np.all(good)):
        raise InvalidData(f"{laboratory}: the {name} at {_first(f_hz, ~good)} is not finite")


def _first(f_hz: FloatArray, bad: npt.NDArray[np.bool_]) -> str:
    return f"{f_hz[int(np.argmax(bad))]} Hz"


def _whitener(laboratory: str, f_hz: FloatArray, cov: FloatArray) -> FloatArray:
    """Return W with W cov Wᵀ = 1, of the covariance's shape; raise `InvalidData` if there is none."""
    n = f_hz.size
    if cov.shape not in {(n, 2, 2), (2 * n, 2 * n)}:
        raise InvalidData(f"{laboratory}: a covariance has shape {(n, 2, 2)} or {(2 * n, 2 * n)}, not {cov.shape}")
    if not bool(np.all(np.isfinite(cov))):
        raise InvalidData(f"{laboratory}: the covariance is not finite")
    variances = np.diagonal(cov, axis1=-2, axis2=-1)
    if bool(np.any(variances <= 0)):
        index = int(np.argmax(variances.reshape(-1) <= 0))
        point = index // 2 if cov.ndim == 3 else index % n
        raise InvalidData(f"{laboratory}: a variance at {f_hz[point]} Hz is not positive")
    # as correlations: magnitude and phase have units of their own
    scale = np.sqrt(variances)
    correlations = cov / (scale[..., :, None] * scale[..., None, :])
    if not bool(np.allclose(correlations, correlations.swapaxes(-1, -2), rtol=0, atol=1e-9)):
        raise InvalidData(f"{laboratory}: the covariance is not symmetric")
    smallest = np.linalg.eigvalsh(correlations)[..., 0]
    if bool(np.any(smallest <= _INDEFINITE)):
        where = f" at {_first(f_hz, smallest <= _INDEFINITE)}" if cov.ndim == 3 else ""
        raise InvalidData(f"{laboratory}: the covariance{where} is not positive definite")
    return np.asarray(np.linalg.inv(np.linalg.cholesky(correlations)) / scale[..., None, :])
