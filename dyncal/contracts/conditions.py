"""Conditions on the wire: what programs find, of which the API service makes alarms. JSON, retained.

A reporter publishes a condition when it begins and when it ends. After each connection it publishes again all that it
knows of, and then the list of those that hold: what is not on it has ended, whatever the broker still keeps.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

import msgspec

from dyncal.contracts import codec
from dyncal.contracts.fields import Instant, Name, Text, Trace
from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.errors import InvalidData, MalformedMessage
from dyncal.domain.sensors import check_name, site_id
from dyncal.domain.time import InstantNs

VERSION: Final = 1

_KNOWN: Final = frozenset(map(str, AlarmKind))


class ConditionMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One condition, as `dyncal.domain.alarms.Condition`; said at `said_ns` by `reporter`."""

    v: int
    reporter: Name
    said_ns: Instant
    source: Name
    kind: AlarmKind
    holds: bool
    at_ns: Instant
    edge: Text = ""
    parameter: Text = ""
    value: float | None = None
    u: float | None = None
    limit: float | None = None
    cause: Text = ""
    response: Text = ""
    trace: Trace = ""


class ReporterMessage(msgspec.Struct, frozen=True):
    """All conditions of these kinds that hold by this reporter, as ids of alarms.

    A later version may name kinds that a reader does not know: it holds for the others.
    """

    v: int
    reporter: Name
    said_ns: Instant
    kinds: tuple[AlarmKind, ...]
    holding: tuple[Text, ...]


class _Listed(msgspec.Struct, frozen=True):
    """`ReporterMessage` with kinds of any version."""

    v: int
    reporter: Name
    said_ns: Instant
    kinds: tuple[Text, ...]
    holding: tuple[Text, ...]


def encode(condition: Condition, reporter: str, said_ns: InstantNs) -> bytes:
    """Return the JSON of a condition; a NUL in its words, which no database keeps, is told as U+FFFD."""
    return codec.to_json(
        ConditionMessage(
            v=VERSION,
            reporter=reporter,
            said_ns=said_ns,
            source=condition.source,
            kind=condition.kind,
            holds=condition.holds,
            at_ns=condition.at_ns,
            edge=condition.edge,
            parameter=_words(condition.parameter),
            value=_finite(condition.value),
            u=_finite(condition.u),
            limit=_finite(condition.limit),
            cause=_words(condition.cause),
            response=_words(condition.response),
            trace=condition.trace,
        )
    )


def _words(said: str) -> str:
    return said.replace("\0", "\ufffd")


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def decode(topic: str, payload: bytes) -> tuple[Condition, ConditionMessage]:
    """Return the condition on a topic, and what came with it. Raises `MalformedMessage`."""
    m = codec.from_json(payload, ConditionMessage)
    _check_version(m.v)
    parts = topic.split("/")
    if len(parts) != 6 or parts[3:] != ["conditions", m.source, m.kind]:
        raise MalformedMessage(f"condition {m.source}:{m.kind} on the topic of another")
    try:
        site = site_id(parts[2])
        if m.edge:
            check_name("edge", m.edge)
    except InvalidData as error:
        raise MalformedMessage(str(error)) from error
    if "\0" in f"{m.parameter}{m.cause}{m.response}":
        raise MalformedMessage(f"condition {m.source}:{m.kind} with a NUL in it, which no database keeps")
    condition = Condition(
        site, m.source, m.kind, m.holds, InstantNs(m.at_ns), m.edge, m.parameter,
        m.value, m.u, m.limit, m.cause, m.response, m.trace,
    )  # fmt: skip
    return condition, m


def encode_list(reporter: str, kinds: Collection[AlarmKind], holding: Collection[str], said_ns: InstantNs) -> bytes:
    """Return the JSON of all that holds by a reporter."""
    return codec.to_json(ReporterMessage(VERSION, reporter, said_ns, tuple(sorted(kinds)), tuple(sorted(holding))))


def decode_list(payload: bytes) -> ReporterMessage:
    """Return the list of a reporter, without kinds that only a later version knows. Raises `MalformedMessage`."""
    m = codec.from_json(payload, _Listed)
    _check_version(m.v)
    kinds = tuple(AlarmKind(kind) for kind in m.kinds if kind in _KNOWN)
    if m.kinds and not kinds:
        raise MalformedMessage(f"a list of {m.reporter} of unknown kinds alone: {m.kinds[0][:40]!r}")
    return ReporterMessage(m.v, m.reporter, m.said_ns, kinds, m.holding)


def _check_version(v: int) -> None:
    if v != VERSION:
        raise MalformedMessage(f"condition of version {v}; this program reads {VERSION}")
