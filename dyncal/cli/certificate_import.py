"""What certificates state, as plain data to print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lxml import etree

from dyncal.certificates.document import Certificate
from dyncal.certificates.parsing import parse
from dyncal.certificates.quantity import ComplexQuantity, Quantity
from dyncal.certificates.reader import read_certificate
from dyncal.certificates.references import parameter_vector, stated
from dyncal.certificates.responses import Selection, frequency_points
from dyncal.certificates.search import tables
from dyncal.domain.errors import InvalidData, InvalidSetting
from dyncal.domain.sensors import ModelKind
from dyncal.identification.frequency_response.points import PhaseSign
from dyncal.runtime.clocks import SystemClock


def response_json(
    certificate: Certificate, unit: str | None, select: Selection, *, lag_positive: bool
) -> dict[str, Any]:
    """Return the frequency response: covariances of (real, imaginary) or of (ln magnitude, phase), as `form` says."""
    sign = PhaseSign.LAG_POSITIVE if lag_positive else PhaseSign.LAG_NEGATIVE
    points = frequency_points(certificate, unit=unit, phase_sign=sign, select=select)
    return {
        "laboratory": points.laboratory,
        "f_hz": points.f_hz.tolist(),
        "magnitude": np.abs(points.response).tolist(),
        "phase_rad": np.angle(points.response).tolist(),
        "form": points.form.value,
        "cov": points.cov.tolist(),
    }


def parameters_json(
    certificate: Certificate, model: str, labels: list[str], gain_unit: str | None, table: str
) -> dict[str, Any]:
    """Return parameters with covariance; labels are pairs LABEL=NAME. Raises `InvalidSetting` for others."""
    pairs = [label.partition("=")[::2] for label in labels]
    if any(not name for _, name in pairs):
        raise InvalidSetting(f"--label {labels}: write LABEL=NAME, such as S_0=gain")
    try:
        kind = ModelKind(model)
    except ValueError as error:
        raise InvalidSetting(f"--model {model!r} is none of {', '.join(ModelKind)}") from error
    p = parameter_vector(certificate, kind, dict(pairs) or None, gain_unit=gain_unit, table=table)
    return {"model": p.model.value, "names": list(p.names), "values": p.values.tolist(), "cov": p.cov.tolist()}


def quantity_json(certificate: Certificate, what: str, unit: str) -> dict[str, Any]:
    """Return one quantity with standard uncertainties."""
    found = stated(certificate, what, unit)
    return {
        "name": found.name,
        "unit": unit,
        "values": found.values.tolist(),
        "u": found.u.tolist(),
        "largest_u": found.largest_u,
    }


def examine(data: bytes, trust: Path | None, schemas: Path | None) -> dict[str, str]:
    """Return what there is to say of a certificate, in the order in which to say it.

    Raises
    ------
    InvalidData
        If it cannot be read, or its signature does not verify where `trust` is given.
    """
    certificate = read_certificate(data)
    findings = {"version": certificate.version, "signature": _signature(certificate)}
    if trust is not None:
        from dyncal.certificates.signatures import read_signed

        signed = read_signed(data, trust, SystemClock().now())
        certificate = signed.certificate
        findings["signature"] = f"verified, by {signed.signer}"
    findings["schema"] = _schema(data, certificate.version, schemas)
    a = certificate.administration
    findings["certificate"] = f"{a.identifier} of {a.laboratory.name}, {a.begin} to {a.end}"
    findings["items"] = "; ".join(item.name for item in a.items)
    for number, entries in enumerate(tables(certificate), 1):
        findings[f"list {number}"] = f"{entries.name}: " + ", ".join(map(_column, entries.quantities))
    return findings


def _signature(certificate: Certificate) -> str:
    n = certificate.n_signatures
    return f"{n} in the file, not verified: give --trust to verify" if n else "none: nothing shows who wrote it"


def _column(quantity: object) -> str:
    if isinstance(quantity, Quantity):
        spread = "" if quantity.standard_uncertainty is None else " with u"
        return f"{quantity.name} [{' '.join(quantity.units)}] × {len(quantity)}{spread}"
    if isinstance(quantity, ComplexQuantity):
        spread = "" if quantity.cov is None else " with covariance"
        return f"{quantity.name} [{quantity.unit_text}] × {len(quantity)} complex{spread}"
    return f"{getattr(quantity, 'name', '')} in words"


def _schema(data: bytes, version: str, folder: Path | None) -> str:
    if folder is None:
        return "not checked: give --schemas"
    path = folder / "dcc" / f"v{version}" / "dcc.xsd"
    if not path.is_file():
        return f"not checked: {path} is not there"
    try:
        schema = etree.XMLSchema(etree.parse(str(path)))
    except etree.LxmlError as error:
        raise InvalidData(f"{path} is no schema: {error}") from error
    try:
        schema.assertValid(parse(data))
    except etree.DocumentInvalid as error:
        return f"not valid: {error}"
    return "valid"
