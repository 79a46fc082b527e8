"""Laboratory calibrations."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field

from dyncal.domain.laboratory import LaboratoryCalibration, Signature
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from services.api.schemas.base import InstantNs, Shape, example, number
from services.api.schemas.calibrations import ParametersOut
from services.api.schemas.sensors import NAME

MAX_POINTS = 2000

Number = Annotated[float, Field(allow_inf_nan=False)]
Column = Annotated[list[Number], Field(min_length=1, max_length=MAX_POINTS)]
FittedKind = Literal[ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER, ModelKind.LEAD_LAG]

_AT_NS = 1_769_860_800_000_000_000


class PolarPoints(Shape):
    """Magnitude and phase with standard uncertainties, as certificates list them; columns of one length."""

    form: Literal["polar"]
    f_hz: Column
    magnitude: Column
    u_magnitude: Column
    """Standard uncertainty (k = 1), in the unit of `magnitude`."""
    phase: Column
    u_phase: Column
    """Standard uncertainty (k = 1), in `phase_unit`."""
    correlation: Column | None = None
    """Of the errors of magnitude and phase; null for none."""
    magnitude_as: Literal["linear", "dB"] = "linear"
    phase_unit: Literal["deg", "rad"] = "deg"
    phase_sign: Literal["lag negative", "lag positive"] = "lag negative"
    """Which sign this laboratory gives to an indication that lags."""


class ComplexPoints(Shape):
    """Real and imaginary part with their covariance."""

    form: Literal["complex"]
    f_hz: Column
    real: Column
    imag: Column
    cov: list[list[list[Number]]] | list[list[Number]] = Field(max_length=2 * MAX_POINTS)
    """Of (Re, Im) of each point, n times 2 by 2; or of all, 2n by 2n, first all real, then all imaginary parts."""


class LaboratoryBody(Shape):
    """Frequency-response points of one laboratory, and what they are about."""

    model_config = example(
        sensor="VT-101",
        laboratory="Vibration laboratory",
        certificate="2026-0815",
        calibrated_at_ns=_AT_NS,
        points={
            "form": "polar",
            "f_hz": [10, 20, 40, 80, 160],
            "magnitude": [1.0, 0.998, 0.994, 0.976, 0.913],
            "u_magnitude": [0.002, 0.002, 0.002, 0.003, 0.004],
            "phase": [-1.4, -2.9, -5.7, -11.4, -23.1],
            "u_phase": [0.1, 0.1, 0.1, 0.2, 0.3],
        },
    )

    sensor: str = Field(pattern=NAME)
    laboratory: str = Field(min_length=1, max_length=200)
    certificate: str = Field(min_length=1, max_length=200)
    """Number of the certificate."""
    calibrated_at_ns: InstantNs
    models: list[FittedKind] = Field(default_factory=list, max_length=3)
    """Models to choose from; none: all three."""
    u_common_magnitude: float = Field(0.0, ge=0, lt=1, allow_inf_nan=False)
    """Relative standard uncertainty of a magnitude factor that all points share."""
    u_delay_s: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Standard uncertainty of a time offset that all points share [s]."""
    points: Annotated[PolarPoints | ComplexPoints, Field(discriminator="form")]


class LaboratoryOut(Shape):
    """A laboratory calibration: its points, and the parameters fitted to them."""

    model_config = example(
        id="VT-101.lab.0f3a9c1b2d4e",
        sensor="VT-101",
        laboratory="Vibration laboratory",
        certificate="2026-0815",
        calibrated_at_ns=_AT_NS,
        added_at_ns=_AT_NS,
        parameters={
            "model": "second_order",
            "names": ["gain", "damping", "f0_hz"],
            "values": [1.0, 0.6, 410.0],
            "u": [0.001, 0.01, 5.0],
            "cov": [[1e-6, 0, 0], [0, 1e-4, 0], [0, 0, 25.0]],
        },
        chi2=6.1,
        dof=7,
        p_value=0.53,
        detail="second_order: the lowest AICc",
        f_hz=[10.0],
        magnitude=[1.0],
        u_magnitude=[0.002],
        phase_rad=[-0.024],
        u_phase_rad=[0.002],
        media_type="application/json",
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        signature="not_signed",
        signer="",
        signature_detail="",
    )

    id: str
    sensor: str
    laboratory: str
    certificate: str
    calibrated_at_ns: InstantNs
    added_at_ns: InstantNs
    parameters: ParametersOut
    chi2: float | None
    dof: int
    p_value: float | None
    """How probable it is that the points scatter so much about the model."""
    detail: str
    """How the model was chosen."""
    f_hz: list[float]
    magnitude: list[float]
    u_magnitude: list[float]
    phase_rad: list[float]
    u_phase_rad: list[float]
    media_type: str
    sha256: str
    """Digest of the file that it came in."""
    signature: Signature
    """What was known of the file's signature when it came; points as JSON have none."""
    signer: str
    """Whose the verified signature is, as its X.509 certificate names them."""
    signature_detail: str
    """Why it is not verified."""

    @classmethod
    def of(cls, found: LaboratoryCalibration) -> Self:
        """Return the shape of a laboratory calibration."""
        magnitude, u_magnitude, phase, u_phase = _columns(found)
        return cls(
            id=found.id,
            sensor=found.sensor,
            laboratory=found.laboratory,
            certificate=found.certificate,
            calibrated_at_ns=found.calibrated_ns,
            added_at_ns=found.added_ns,
            parameters=ParametersOut.of(found.parameters),
            chi2=number(found.chi2),
            dof=found.dof,
            p_value=number(found.p_value),
            detail=found.detail,
            f_hz=found.f_hz.tolist(),
            magnitude=magnitude.tolist(),
            u_magnitude=u_magnitude.tolist(),
            phase_rad=phase.tolist(),
            u_phase_rad=u_phase.tolist(),
            media_type=found.media_type,
            sha256=found.sha256,
            signature=found.signature,
            signer=found.signer,
            signature_detail=found.signature_detail,
        )


def _columns(found: LaboratoryCalibration) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return magnitude, its standard uncertainty, phase [rad] and its, by the law of propagation; all of shape (n,)."""
    n = found.f_hz.size
    re, im = found.response.T
    size, angle = np.hypot(re, im), np.arctan2(im, re)
    if found.cov.ndim == 2:  # of all points: take those of each with itself
        k = np.arange(n)
        cov = np.stack([found.cov[k, k], found.cov[k, k + n], found.cov[k + n, k + n]], axis=1)
    else:
        cov = np.stack([found.cov[:, 0, 0], found.cov[:, 0, 1], found.cov[:, 1, 1]], axis=1)
    if found.form == "polar":
        return size, size * np.sqrt(cov[:, 0]), angle, np.sqrt(cov[:, 2])
    var_size = (re**2 * cov[:, 0] + 2 * re * im * cov[:, 1] + im**2 * cov[:, 2]) / size**2
    var_angle = (im**2 * cov[:, 0] - 2 * re * im * cov[:, 1] + re**2 * cov[:, 2]) / size**4
    return size, np.sqrt(np.maximum(var_size, 0)), angle, np.sqrt(np.maximum(var_angle, 0))


class LaboratoryPage(Shape):
    """Laboratory calibrations, newest first."""

    items: list[LaboratoryOut]
    next_cursor: str | None


class CertificateOut(Shape):
    """The laboratory calibration behind a sensor that nothing here calibrates."""

    id: str
    laboratory: str
    certificate: str
    calibrated_at_ns: InstantNs
    signature: Signature

    @classmethod
    def of(cls, found: LaboratoryCalibration) -> Self:
        """Return the shape of a certificate."""
        return cls(
            id=found.id,
            laboratory=found.laboratory,
            certificate=found.certificate,
            calibrated_at_ns=found.calibrated_ns,
            signature=found.signature,
        )
