"""From a file of a laboratory to a calibration: points read, a model fitted, both kept with what they came in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dyncal.domain.errors import InvalidData, Unavailable
from dyncal.domain.laboratory import LaboratoryCalibration, Signature
from dyncal.domain.sensors import ModelKind, SensorId
from dyncal.domain.time import NS_PER_S, InstantNs
from services.api.errors import Problem
from services.api.schemas.laboratory import ComplexPoints, LaboratoryBody, PolarPoints

if TYPE_CHECKING:  # scipy and lxml, which no start of the service should pay
    from dyncal.certificates.document import Certificate
    from dyncal.identification.frequency_response import FrequencyPoints

DEFAULT_KINDS = (ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER, ModelKind.LEAD_LAG)


@dataclass(frozen=True, slots=True)
class Sent:
    """A file as it was understood."""

    sensor: SensorId
    laboratory: str
    certificate: str
    calibrated_ns: InstantNs
    points: FrequencyPoints
    kinds: Sequence[ModelKind]
    signature: Signature = Signature.NOT_SIGNED
    signer: str = ""
    signature_detail: str = ""


def of_body(body: LaboratoryBody) -> Sent:
    """Return what a JSON document says. Raises `InvalidData`."""
    return Sent(
        SensorId(body.sensor),
        body.laboratory,
        body.certificate,
        InstantNs(body.calibrated_at_ns),
        _points(body, body.points),
        body.models or DEFAULT_KINDS,
    )


def _points(body: LaboratoryBody, given: PolarPoints | ComplexPoints) -> FrequencyPoints:
    from dyncal.identification.frequency_response import (  # noqa: PLC0415 - see above
        Form,
        FrequencyPoints,
        Magnitude,
        PhaseSign,
        PhaseUnit,
    )

    if isinstance(given, PolarPoints):
        return FrequencyPoints.from_magnitude_phase(
            given.f_hz,
            given.magnitude,
            given.phase,
            given.u_magnitude,
            given.u_phase,
            magnitude_as=Magnitude(given.magnitude_as),
            phase_unit=PhaseUnit(given.phase_unit),
            phase_sign=PhaseSign(given.phase_sign),
            correlation=0.0 if given.correlation is None else given.correlation,
            laboratory=body.laboratory,
            u_common_magnitude=body.u_common_magnitude,
            u_delay_s=body.u_delay_s,
        )
    try:
        cov = np.array(given.cov, dtype=np.float64)
    except ValueError as error:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "cov is no matrix: its rows differ", kind="covariance"
        ) from error
    real, imag = np.array(given.real), np.array(given.imag)
    if real.shape != imag.shape:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "real and imag differ in length", kind="points")
    return FrequencyPoints(
        np.array(given.f_hz),
        real + 1j * imag,
        cov,
        body.laboratory,
        Form.COMPLEX,
        body.u_common_magnitude,
        body.u_delay_s,
    )


def of_certificate(
    content: bytes, sensor: SensorId, unit: str | None, *, lag_positive: bool, trusted: Path | None, now: InstantNs
) -> Sent:
    """Return what a digital calibration certificate (DCC) states, and what is known of its signature.

    Where that is verified against the authorities in `trusted`, only what it covers is read.

    Raises
    ------
    InvalidData
        If it cannot be read.
    Unavailable
        If what verifies signatures is not installed.
    """
    from dyncal.certificates.reader import read_certificate  # noqa: PLC0415 - see above
    from dyncal.certificates.responses import frequency_points  # noqa: PLC0415 - the same
    from dyncal.identification.frequency_response import PhaseSign  # noqa: PLC0415 - the same

    certificate, seen = _verified(read_certificate(content), content, trusted, now)
    about = certificate.administration
    sign = PhaseSign.LAG_POSITIVE if lag_positive else PhaseSign.LAG_NEGATIVE
    points = frequency_points(certificate, unit=unit, phase_sign=sign)
    day = datetime(about.end.year, about.end.month, about.end.day, tzinfo=UTC)
    at_ns = InstantNs(int(day.timestamp()) * NS_PER_S)
    return Sent(sensor, about.laboratory.name, about.identifier, at_ns, points, DEFAULT_KINDS, *seen)


def _verified(
    certificate: Certificate, content: bytes, trusted: Path | None, now: InstantNs
) -> tuple[Certificate, tuple[Signature, str, str]]:
    """Return what of a certificate is to be read, and what its signature is worth: state, signer, why not."""
    if certificate.n_signatures == 0:
        return certificate, (Signature.NOT_SIGNED, "", "")
    if trusted is None:
        return certificate, (
            Signature.NOT_VERIFIED,
            "",
            "no authority is trusted here (api.certificates.trusted_file)",
        )
    try:
        from dyncal.certificates.signatures import read_signed  # noqa: PLC0415 - see above
    except ImportError as error:
        raise Unavailable(f"signatures cannot be verified here: pip install 'dyncal[signatures]' ({error})") from error
    try:
        signed = read_signed(content, trusted, now)
    except InvalidData as error:
        return certificate, (Signature.INVALID, "", str(error)[:300])
    return signed.certificate, (Signature.VERIFIED, signed.signer[:300], "")


def check_signature(sent: Sent) -> None:
    """Do nothing where the signature of what was sent is verified. Raises `Problem` (422, `signature`)."""
    if sent.signature is not Signature.VERIFIED:
        why = sent.signature_detail or f"it is {sent.signature.value.replace('_', ' ')}"
        detail = f"only certificates whose signature is verified are taken here: {why}"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, kind="signature", signature=sent.signature)


def calibrate(sent: Sent, content: bytes, media_type: str, now: InstantNs) -> LaboratoryCalibration:
    """Fit a model to points, and return what is to be kept; blocks.

    The id follows from sensor and file: the same file once more is the same calibration.

    Raises
    ------
    Problem
        422, `not-accepted`, if no model can be stood by, with verdict and reason.
    InvalidData
        If the points are none.
    """
    from dyncal.identification.frequency_response import fit_frequency_response  # noqa: PLC0415 - see above

    points = sent.points
    fit = fit_frequency_response(points, list(sent.kinds))
    if not fit.accepted or fit.parameters is None:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"no model can be fitted to these points: {fit.detail}",
            kind="not-accepted",
            verdict=fit.verdict,
            candidates=[{"model": c.model, "verdict": c.verdict, "detail": c.detail} for c in fit.candidates],
        )
    digest = hashlib.sha256(content).hexdigest()
    return LaboratoryCalibration(
        id=f"{sent.sensor}.lab.{digest[:12]}",
        sensor=sent.sensor,
        laboratory=sent.laboratory,
        certificate=sent.certificate,
        calibrated_ns=sent.calibrated_ns,
        added_ns=now,
        f_hz=points.f_hz,
        response=np.stack([points.response.real, points.response.imag], axis=1),
        cov=points.cov,
        form=points.form,
        u_magnitude=points.u_magnitude,
        u_delay_s=points.u_delay_s,
        parameters=fit.parameters,
        chi2=fit.chi2,
        dof=fit.dof,
        p_value=fit.p_value,
        detail="; ".join(filter(None, (fit.rule, fit.detail))),
        media_type=media_type,
        sha256=digest,
        signature=sent.signature,
        signer=sent.signer,
        signature_detail=sent.signature_detail,
    )
