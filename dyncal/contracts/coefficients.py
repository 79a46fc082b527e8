"""Coefficient sets on the wire: canonical JSON in a signed envelope, and the edge's report.

The signature is over the very bytes in `set`, so that nobody needs to agree on a canonical form to verify it. A set
with a filter is of version 1, one with a smoother of version 2 (docs/adr/0019-smoother-on-the-wire.md).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta

from dyncal.contracts import codec
from dyncal.contracts.fields import Count, Instant, Interval, Name, NotNegative, Ordinal, Positive, SetId, Span, Text
from dyncal.domain.coefficients import (
    MOST_ORDER,
    CoefficientSet,
    Correction,
    CorrectionFilter,
    CorrectionSmoother,
    MeasurandPrior,
    Outcome,
    Parameters,
    Provenance,
    Report,
)
from dyncal.domain.errors import InvalidData, MalformedMessage
from dyncal.domain.sensors import ModelKind, sensor_id
from dyncal.domain.time import DurationNs, InstantNs
from dyncal.ports.signing import Signer

VERSION: Final = 1
"""Of envelopes, reports, and sets with a filter."""

SMOOTHER_VERSION: Final = 2
"""Of sets with a smoother."""

SHADOW_VERSIONS: Final = {VERSION: 3, SMOOTHER_VERSION: 4}
"""Of the same that may run beside another one only: what corrects refuses them, old programs by their version."""

MAX_PARAMETERS: Final = 64
MAX_SECTIONS: Final = 256
MAX_TAPS: Final = 65_536


class ParametersMessage(msgspec.Struct, frozen=True):
    """Physical parameters, in the units of their names, with covariance (row by row)."""

    model: ModelKind
    names: Annotated[list[Text], Meta(max_length=MAX_PARAMETERS)]
    values: Annotated[list[float], Meta(max_length=MAX_PARAMETERS)]
    cov: Annotated[list[list[float]], Meta(max_length=MAX_PARAMETERS)]


class FilterMessage(msgspec.Struct, frozen=True):
    """The filter, as `dyncal.domain.coefficients.CorrectionFilter`."""

    dt_ns: Interval
    fir: Annotated[list[float], Meta(min_length=1, max_length=MAX_TAPS)]
    sos: Annotated[list[list[float]], Meta(max_length=MAX_SECTIONS)]
    delay: Annotated[int, Meta(ge=0, le=MAX_TAPS)]
    sensitivities: Annotated[list[list[float]], Meta(max_length=MAX_PARAMETERS)]
    u_noise: NotNegative
    u_model: NotNegative
    band_hz: NotNegative
    latency_s: float
    noise_gain: float


class SmootherMessage(msgspec.Struct, frozen=True):
    """The smoother, as `dyncal.domain.coefficients.CorrectionSmoother`."""

    dt_ns: Interval
    latency_ns: Span
    prior: MeasurandPrior
    density: Positive
    corner_rad_s: Positive
    order: Annotated[int, Meta(ge=1, le=MOST_ORDER)]
    noise_std: Positive
    band_hz: NotNegative


class ProvenanceMessage(msgspec.Struct, frozen=True):
    """Where the set came from."""

    calibration_id: Text
    reference: Name
    fitted_at_ns: Instant
    window_from_ns: Instant
    window_to_ns: Instant
    n_samples: Count


class SetMessage(msgspec.Struct, frozen=True):
    """A coefficient set."""

    v: int
    id: SetId
    sensor: Name
    sequence: Ordinal
    parent: SetId | None
    parameters: ParametersMessage
    filter: FilterMessage
    gain_limits: tuple[float, float]
    valid_from_ns: Instant
    provenance: ProvenanceMessage
    residual_limit: NotNegative = 0.0
    note: Text = ""
    restores: SetId | None = None
    apply_until_ns: Instant | None = None


class SmootherSetMessage(SetMessage, frozen=True, kw_only=True):
    """A set with a smoother (version 2). Its `filter` gives zeros, and is there for readers of version 1 alone.

    They can read it so, and refuse it by its version.
    """

    smoother: SmootherMessage


class _Versioned(msgspec.Struct, frozen=True):
    v: int


class Envelope(msgspec.Struct, frozen=True):
    """A set as canonical JSON text, its SHA-256 (hex), and an Ed25519 signature (base64) by `key_id` over that text."""

    v: int
    set: str
    sha256: Text
    key_id: Text
    signature: Text


class ReportMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the edge did with a set, retained; of one that it cannot read, `set_id` is empty and `sequence` 0.

    `running` is the set that runs now, whatever the report is about; empty if none does, or the edge does not say.
    `digest` is the SHA-256 (hex) of the text of the set that it is about, as the edge got it.
    """

    v: int
    sensor: Name
    set_id: Text
    sequence: Count
    outcome: Outcome
    at_ns: Instant
    reason: Text = ""
    running: Text = ""
    digest: Text = ""


def canonical(coefficients: CoefficientSet, *, shadow: bool = False) -> bytes:
    """Return the canonical JSON of a set, or of its edition for shadows: the bytes that are hashed and signed.

    Raises
    ------
    InvalidData
        If a number in it is not finite: JSON has none such, and nobody could read the set.
    """
    message = _message(coefficients)
    if not _finite(msgspec.to_builtins(message)):
        raise InvalidData(f"set {coefficients.id} has numbers that are not finite")
    return codec.to_json(msgspec.structs.replace(message, v=SHADOW_VERSIONS[message.v]) if shadow else message)


def _message(coefficients: CoefficientSet) -> SetMessage:
    c, p, o = coefficients.correction, coefficients.parameters, coefficients.provenance
    message = SetMessage(
        v=VERSION,
        id=coefficients.id,
        sensor=coefficients.sensor,
        sequence=coefficients.sequence,
        parent=coefficients.parent,
        parameters=ParametersMessage(p.model, list(p.names), p.values.tolist(), p.cov.tolist()),
        filter=_filter_message(c if isinstance(c, CorrectionFilter) else _nothing(c)),
        gain_limits=coefficients.gain_limits,
        valid_from_ns=coefficients.valid_from_ns,
        provenance=ProvenanceMessage(
            o.calibration_id, o.reference, o.fitted_at_ns, o.window_from_ns, o.window_to_ns, o.n_samples
        ),
        residual_limit=coefficients.residual_limit,
        note=coefficients.note,
        restores=coefficients.restores,
        apply_until_ns=coefficients.apply_until_ns,
    )
    if isinstance(c, CorrectionFilter):
        return message
    smoother = SmootherMessage(
        c.dt_ns, c.latency_ns, c.prior, c.density, c.corner_rad_s, c.order, c.noise_std, c.band_hz
    )
    return SmootherSetMessage(**(msgspec.structs.asdict(message) | {"v": SMOOTHER_VERSION}), smoother=smoother)


def _nothing(smoother: CorrectionSmoother) -> CorrectionFilter:
    """Return what stands for a filter in a set without: zero at DC, and so outside the set's own limits."""
    return CorrectionFilter(
        smoother.dt_ns, np.zeros(1), np.empty((0, 6)), 0, np.empty((0, 5)), 0.0, 0.0, smoother.band_hz
    )


def _filter_message(f: CorrectionFilter) -> FilterMessage:
    return FilterMessage(
        dt_ns=f.dt_ns,
        fir=f.fir.tolist(),
        sos=f.sos.tolist(),
        delay=f.delay,
        sensitivities=f.sensitivities.tolist(),
        u_noise=f.u_noise,
        u_model=f.u_model,
        band_hz=f.band_hz,
        latency_s=f.latency_ns / 1e9,
        noise_gain=f.noise_gain,
    )


def _finite(part: object) -> bool:
    if isinstance(part, dict):
        return all(map(_finite, part.values()))
    if isinstance(part, list | tuple):
        return all(map(_finite, part))
    return not isinstance(part, float) or math.isfinite(part)


def seal(coefficients: CoefficientSet, signer: Signer, *, shadow: bool = False) -> bytes:
    """Return the signed envelope of a set as JSON; for a `shadow`, one that cannot be made to correct by it."""
    text = canonical(coefficients, shadow=shadow)
    return codec.to_json(
        Envelope(
            v=VERSION,
            set=text.decode(),
            sha256=hashlib.sha256(text).hexdigest(),
            key_id=signer.key_id,
            signature=base64.b64encode(signer.sign(text)).decode(),
        )
    )


def read_envelope(payload: bytes) -> Envelope:
    """Return the envelope of a JSON payload; the signature is not checked here. Raises `MalformedMessage`."""
    envelope = codec.from_json(payload, Envelope)
    if envelope.v != VERSION:
        raise MalformedMessage(f"envelope of version {envelope.v}; this program reads {VERSION}")
    return envelope


def signature_bytes(envelope: Envelope) -> bytes:
    """Return the raw signature of an envelope. Raises `MalformedMessage` if it is no base64, in its one spelling."""
    try:
        raw = base64.b64decode(envelope.signature, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedMessage("the signature is not base64") from error
    if base64.b64encode(raw).decode() != envelope.signature:  # bits that nobody reads
        raise MalformedMessage("the signature is not base64 as it is written")
    return raw


def open_set(text: str | bytes) -> CoefficientSet:
    """Return the set of a canonical JSON text.

    Raises
    ------
    MalformedMessage
        If it is unreadable, of another version, or contradicts itself.
    """
    coefficients, only_beside = open_any(text)
    if only_beside:
        raise MalformedMessage("a set that may run beside another one only")
    return coefficients


def open_any(text: str | bytes) -> tuple[CoefficientSet, bool]:
    """Return the set of a canonical JSON text, and whether it may run beside another one only.

    Raises
    ------
    MalformedMessage
        If it is unreadable, of another version, or contradicts itself.
    """
    v = codec.from_json(text, _Versioned).v  # first: another version may look like nothing that is known
    if v not in _KINDS:
        raise MalformedMessage(f"set of version {v}; this program reads {', '.join(map(str, _KINDS))}")
    kind, only_beside = _KINDS[v]
    return _set_of(codec.from_json(text, kind)), only_beside


_KINDS: Final[dict[int, tuple[type[SetMessage], bool]]] = {
    VERSION: (SetMessage, False),
    SMOOTHER_VERSION: (SmootherSetMessage, False),
    SHADOW_VERSIONS[VERSION]: (SetMessage, True),
    SHADOW_VERSIONS[SMOOTHER_VERSION]: (SmootherSetMessage, True),
}


def _set_of(m: SetMessage) -> CoefficientSet:
    try:
        return CoefficientSet(
            id=m.id,
            sensor=sensor_id(m.sensor),
            sequence=m.sequence,
            parent=m.parent,
            parameters=Parameters(
                m.parameters.model,
                tuple(m.parameters.names),
                np.array(m.parameters.values, np.float64),
                np.array(m.parameters.cov, np.float64).reshape(len(m.parameters.names), -1),
            ),
            correction=_correction(m),
            gain_limits=m.gain_limits,
            valid_from_ns=InstantNs(m.valid_from_ns),
            provenance=Provenance(
                m.provenance.calibration_id,
                sensor_id(m.provenance.reference),
                InstantNs(m.provenance.fitted_at_ns),
                InstantNs(m.provenance.window_from_ns),
                InstantNs(m.provenance.window_to_ns),
                m.provenance.n_samples,
            ),
            residual_limit=m.residual_limit,
            note=m.note,
            restores=m.restores,
            apply_until_ns=None if m.apply_until_ns is None else InstantNs(m.apply_until_ns),
        )
    except (InvalidData, ValueError) as error:
        raise MalformedMessage(f"coefficient set: {error}") from error


def _correction(m: SetMessage) -> Correction:
    if isinstance(m, SmootherSetMessage):
        s = m.smoother
        return CorrectionSmoother(
            DurationNs(s.dt_ns),
            DurationNs(s.latency_ns),
            s.prior,
            s.density,
            s.corner_rad_s,
            s.order,
            s.noise_std,
            s.band_hz,
        )
    return CorrectionFilter(
        dt_ns=DurationNs(m.filter.dt_ns),
        fir=np.array(m.filter.fir, np.float64),
        sos=np.array(m.filter.sos, np.float64).reshape(len(m.filter.sos), 6),
        delay=m.filter.delay,
        sensitivities=np.array(m.filter.sensitivities, np.float64).reshape(len(m.filter.sensitivities), 5),
        u_noise=m.filter.u_noise,
        u_model=m.filter.u_model,
        band_hz=m.filter.band_hz,
    )


def encode_report(report: Report) -> bytes:
    """Return the JSON of a report."""
    return codec.to_json(
        ReportMessage(
            VERSION,
            report.sensor,
            report.set_id,
            report.sequence,
            report.outcome,
            report.at_ns,
            report.reason,
            report.running,
            report.digest,
        )
    )


def decode_report(payload: bytes) -> Report:
    """Return the report of a JSON payload. Raises `MalformedMessage`."""
    m = codec.from_json(payload, ReportMessage)
    if m.v != VERSION:
        raise MalformedMessage(f"report of version {m.v}; this program reads {VERSION}")
    try:
        return Report(
            sensor_id(m.sensor), m.set_id, m.sequence, m.outcome, InstantNs(m.at_ns), m.reason, m.running, m.digest
        )
    except InvalidData as error:
        raise MalformedMessage(str(error)) from error
