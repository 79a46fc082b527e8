"""How an edge is told, while it runs, what to read, and asked what there is to be read: JSON, signed.

Who may say so can have the edge connect to anything it can reach: all that an edge acts upon is signed with a key that
it trusts, over the text and the topic that it is for.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final, Literal, TypeVar

import msgspec

from dyncal.contracts import codec
from dyncal.contracts.fields import Count, Instant, NotNegative, Text
from dyncal.domain.errors import MalformedMessage
from dyncal.ports.signing import Signer, Verifier

VERSION: Final = 1
MAX_ITEMS: Final = 5000
"""Most nodes or topics in a reply."""

T = TypeVar("T")


class Sealed(msgspec.Struct, frozen=True):
    """A JSON text, and an Ed25519 signature (base64) by `key_id` over its topic, a line feed and the text."""

    v: int
    body: str
    key_id: Text
    signature: Text


class SourcesMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that an edge is to read beside what its own file says; takes the place of any with a lower `revision`.

    `opcua` and `mqtt` are as ``[[edge.opcua]]`` and ``[[edge.mqtt]]`` in the edge's file; passwords only by file.
    """

    v: int
    revision: Count
    at_ns: Instant
    opcua: list[dict[str, Any]] = []
    mqtt: list[dict[str, Any]] = []


class SourcesReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an edge did with `SourcesMessage`, retained; `running` is the revision in force, 0 for none."""

    v: int
    revision: Count
    outcome: Literal["applied", "rejected"]
    running: Count
    at_ns: Instant
    reason: Text = ""


class BrowseRequest(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="browse"):
    """What is below a node of an OPC UA server, `server` as ``[[edge.opcua]]`` without nodes; no `node` is Objects."""

    v: int
    id: Text
    at_ns: Instant
    server: dict[str, Any]
    node: Text = ""


class TopicsRequest(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="topics"):
    """Which topics come within `seconds`; of `broker`, as ``[edge.mqtt.broker]``, or of the edge's own."""

    v: int
    id: Text
    at_ns: Instant
    broker: dict[str, Any] | None = None
    filter: Text = "#"
    seconds: NotNegative = 5.0


Request = BrowseRequest | TopicsRequest


class AnyRequest(msgspec.Struct, frozen=True):
    """What every request has, of later versions and unknown kinds too: enough to answer that it is not understood."""

    id: Text
    at_ns: Instant


class FoundNode(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node: its id as the edge's file has it, with the namespace's URI, and of a variable what is known of its value.

    `numeric` is what a sensor must be: a number, or an array of numbers (`array`).
    """

    node: Text
    name: Text
    variable: bool = False
    numeric: bool = False
    array: bool = False
    data_type: Text = ""
    value: Text = ""
    unit: Text = ""
    status: Text = ""
    source_ns: int | None = None


class FoundField(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place in a message that holds a number, or an array of numbers."""

    place: Text
    value: Text
    array: bool = False


class FoundTopic(msgspec.Struct, frozen=True, omit_defaults=True):
    """A topic that was heard: how often, what came last, and how it can be read (`format` '' if not at all)."""

    topic: Text
    n_messages: Count
    payload: Text
    format: Literal["", "number", "json", "msgpack", "csv"] = ""
    numbers: list[FoundField] = []
    times: list[FoundField] = []


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to the request of this `id`: `error`, or what was found; `more` where that is not all."""

    v: int
    id: Text
    error: Text = ""
    nodes: list[FoundNode] = []
    topics: list[FoundTopic] = []
    more: bool = False


def seal(message: msgspec.Struct, topic: str, signer: Signer) -> bytes:
    """Return a message as it travels on `topic`, signed for it."""
    body = codec.to_json(message)
    signature = base64.b64encode(signer.sign(_signed(topic, body))).decode()
    return codec.to_json(Sealed(VERSION, body.decode(), signer.key_id, signature))


def unseal(payload: bytes, topic: str, kind: type[T], verifier: Verifier | None) -> T:
    """Return the message of a payload; without `verifier` whoever signed it.

    Raises
    ------
    MalformedMessage
        If it is unreadable, of another version, or not signed for this topic by a key that is trusted.
    """
    sealed = codec.from_json(payload, Sealed)
    if sealed.v != VERSION:
        raise MalformedMessage(f"sealed in version {sealed.v}; this program reads {VERSION}")
    if verifier is not None:
        try:
            signature = base64.b64decode(sealed.signature, validate=True)
        except (binascii.Error, ValueError) as error:
            raise MalformedMessage("the signature is not base64") from error
        if not verifier.verify(sealed.key_id, _signed(topic, sealed.body.encode()), signature):
            raise MalformedMessage(f"not signed for {topic} by a key that is trusted, but by {sealed.key_id[:80]!r}")
    message = codec.from_json(sealed.body, kind)
    if getattr(message, "v", VERSION) != VERSION:
        raise MalformedMessage(f"content of version {getattr(message, 'v', None)}; this program reads {VERSION}")
    return message


def _signed(topic: str, body: bytes) -> bytes:
    return topic.encode() + b"\n" + body
