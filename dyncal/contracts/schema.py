"""The published schema of the wire: JSON Schema of every message, and an AsyncAPI document of the topics.

The documents are made from the very types that encode and decode, so they cannot say anything else; a test compares
the committed files with what this module makes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from dyncal.contracts import (
    alarms,
    coefficients,
    commissioning,
    conditions,
    edges,
    health,
    keys,
    ledgers,
    residuals,
    samples,
    topics,
)

JSON_SCHEMA_FILE: Final = "messages.schema.json"
ASYNCAPI_FILE: Final = "asyncapi.json"

_JSON: Final = "application/json"
_MSGPACK: Final = "application/msgpack"
_NAME: Final = "1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit"


class _Channel(NamedTuple):
    key: str
    address: str
    content_type: str
    messages: tuple[type[msgspec.Struct], ...]
    summary: str
    retained: bool = False


_CHANNELS: Final = (
    _Channel("samples", "{site}/{edge}/samples/{sensor}", _MSGPACK, (samples.BlockMessage, samples.GapMessage),
             "Records of one sensor, numbered without a hole; published again until they are committed."),
    _Channel("status", "{site}/{edge}/status", _JSON, (edges.StatusMessage,),
             "Birth of an edge with its sensors, and its last will.", retained=True),
    _Channel("events", "{site}/{edge}/events", _JSON, (edges.EventMessage,),
             "Overflows, revised sampling, quarantined inputs, for the people who run the edge."),
    _Channel("committed", "{site}/{edge}/committed", _JSON, (edges.CommittedMessage,),
             "What the store has of each sensor; the edge may forget it.", retained=True),
    _Channel("ledger", "{site}/{edge}/ledger", _JSON, (ledgers.LedgerMessage,),
             "What became of each number that an edge gave out: stored, gap, quarantined; what came again.",
             retained=True),
    _Channel("desired", "{site}/{edge}/coefficients/{sensor}/desired", _JSON, (coefficients.Envelope,),
             "The signed set that a sensor should run; `set`: a SetMessage or SmootherSetMessage.", retained=True),
    _Channel("reported", "{site}/{edge}/coefficients/{sensor}/reported", _JSON, (coefficients.ReportMessage,),
             "What the edge did with a set.", retained=True),
    _Channel("shadow", "{site}/{edge}/coefficients/{sensor}/shadow", _JSON, (coefficients.Envelope,),
             "The signed set that is to run beside the one in force (its text of version 3 or 4); empty: none.",
             retained=True),
    _Channel("residuals", "{site}/{edge}/residuals", _JSON, (residuals.ResidualsMessage,),
             "What an edge found of the sets that it runs, and runs beside them, since it last said so."),
    _Channel("sourcesDesired", "{site}/{edge}/sources/desired", _JSON, (commissioning.Sealed,),
             "What an edge is to read beside what its file says; `body`: a SourcesMessage.", retained=True),
    _Channel("sourcesReported", "{site}/{edge}/sources/reported", _JSON, (commissioning.SourcesReport,),
             "What the edge did with that.", retained=True),
    _Channel("keys", "{site}/keys", _JSON, (keys.KeysMessage,),
             "Which keys sign for the site; `body`: a KeyList; `seals`: over `dyncal keys`, a line feed and its bytes.",
             retained=True),
    _Channel("requests", "{site}/{edge}/requests", _JSON, (commissioning.Sealed,),
             "What there is to be read; `body`: a BrowseRequest or TopicsRequest."),
    _Channel("replies", "{site}/{edge}/replies", _JSON, (commissioning.Reply,),
             "What an edge found."),
    _Channel("alarms", "{site}/alarms/{source}/{kind}", _JSON, (alarms.AlarmMessage,),
             "The state of an alarm, for third parties.", retained=True),
    _Channel("conditions", "{site}/conditions/{source}/{kind}", _JSON, (conditions.ConditionMessage,),
             "What a program found to hold or to hold no longer; alarms are made of it.", retained=True),
    _Channel("reporters", "{site}/reporters/{reporter}", _JSON, (conditions.ReporterMessage,),
             "All conditions that hold by one program, after each connection.", retained=True),
    _Channel("health", "{site}/sensors/{sensor}/health", _JSON, (health.HealthMessage,),
             "How far a sensor can be trusted, and since when, by its calibration.", retained=True),
)  # fmt: skip

_SIGNED: Final = (
    coefficients.SetMessage,
    coefficients.SmootherSetMessage,
    commissioning.SourcesMessage,
    commissioning.BrowseRequest,
    commissioning.TopicsRequest,
    keys.KeyList,
)
"""What travels as text within a signed message."""

_PARAMETERS: Final = {
    "site": "Name of the site: " + _NAME,
    "edge": "Name of the edge: " + _NAME,
    "sensor": "Name of the sensor: " + _NAME,
    "kind": "Kind of the alarm.",
    "source": "Name of the sensor, edge or service: " + _NAME,
    "reporter": "Name of the program that found it: " + _NAME,
}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of all messages, each under ``$defs``; bytes are base64 in JSON Schema's words.

    In MessagePack they are plain binary: little-endian float64 or int64, one after the other.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"dyncal wire protocol {topics.ROOT}",
        "$defs": _definitions("#/$defs/{name}"),
    }


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document: topics, what they carry, how it is packed, and whether it is retained."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "dyncal wire protocol",
            "version": f"{samples.VERSION}.0.0",
            "description": "MQTT 3.1.1 or 5 at QoS 1. Edges publish samples, services commit them.",
        },
        "defaultContentType": _JSON,
        "channels": {channel.key: _channel(channel) for channel in _CHANNELS},
        "operations": {
            f"send{channel.key.capitalize()}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{channel.key}"},
                "summary": channel.summary,
                "bindings": {"mqtt": {"qos": 1, "retain": channel.retained, "bindingVersion": "0.2.0"}},
            }
            for channel in _CHANNELS
        },
        "components": {
            "messages": {
                message.__name__: {
                    "name": message.__name__,
                    "contentType": channel.content_type,
                    "payload": {"$ref": f"#/components/schemas/{message.__name__}"},
                }
                for channel in _CHANNELS
                for message in channel.messages
            },
            "schemas": _definitions("#/components/schemas/{name}"),
        },
    }


def documents() -> dict[str, str]:
    """Return the published documents by file name, as text."""
    return {
        name: json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        for name, content in ((JSON_SCHEMA_FILE, json_schema()), (ASYNCAPI_FILE, asyncapi()))
    }


def write_documents(directory: Path) -> list[Path]:
    """Write the documents below `directory` and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in documents().items():
        (directory / name).write_text(text, encoding="utf-8")
        paths.append(directory / name)
    return paths


def _definitions(template: str) -> dict[str, Any]:
    kinds = [message for channel in _CHANNELS for message in channel.messages]
    _, components = msgspec.json.schema_components([*kinds, *_SIGNED], ref_template=template)
    return dict(sorted(components.items()))


def _channel(channel: _Channel) -> dict[str, Any]:
    return {
        "address": f"{topics.ROOT}/{channel.address}",
        "messages": {m.__name__: {"$ref": f"#/components/messages/{m.__name__}"} for m in channel.messages},
        "parameters": {
            name: {"description": text} for name, text in _PARAMETERS.items() if f"{{{name}}}" in channel.address
        },
    }
