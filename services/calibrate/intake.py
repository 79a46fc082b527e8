"""Reading of what arrives from the broker: an event for the engine, or a note that says why it is none."""

from __future__ import annotations

import dataclasses
from typing import Final

from dyncal.contracts import codec, coefficients, residuals, samples, topics
from dyncal.contracts.edges import VERSION as STATUS_VERSION
from dyncal.contracts.edges import StatusMessage
from dyncal.contracts.topics import EdgeTopic
from dyncal.domain.coefficients import Report
from dyncal.domain.errors import MalformedMessage
from dyncal.domain.samples import GapRecord
from dyncal.domain.time import EARLIEST, LATEST, InstantNs
from services.calibrate.events import EdgeSeen, Event, Note, RecordArrived, ResidualsFound, SetReported

MAX_REASON: Final = 500
MAX_ID: Final = 255


def is_samples(topic: str) -> bool:
    """Tell whether a topic is one of samples, without looking whether it is well formed otherwise."""
    return topic.split("/")[-2:-1] == ["samples"]


def live_samples(payload: bytes) -> int:
    """Return how many samples a message holds that came from their source; 0 for anything else. Never raises."""
    try:
        record = samples.decode_packed(payload)
    except MalformedMessage:
        return 0
    return 0 if isinstance(record, GapRecord) or record.replayed else len(record)


def read(topic: str, payload: bytes, now_ns: InstantNs) -> Event | Note | None:
    """Return what a message says; None where it says nothing (a retained message was deleted). Never raises."""
    try:
        place = topics.parse(topic)
        return _read(place, payload, now_ns) if payload else None
    except MalformedMessage as error:
        return Note("malformed", "", f"{topic[:200]}: {error}")


def _read(place: EdgeTopic, payload: bytes, now_ns: InstantNs) -> Event:
    match place.kind:
        case "samples":
            record = samples.decode(payload)
            if (record.edge, record.sensor) != (place.address.edge, place.sensor):
                raise MalformedMessage(f"it holds samples of sensor {record.sensor} of edge {record.edge}")
            return RecordArrived(record, now_ns)
        case "reported":
            return SetReported(place.address, _report(place, payload), now_ns)
        case "residuals":
            found = (dataclasses.replace(each, fault=_kept(each.fault)) for each in residuals.decode(payload)[1])
            return ResidualsFound(place.address, tuple(found), now_ns)
        case "status":
            status = codec.from_json(payload, StatusMessage)
            if status.v != STATUS_VERSION:
                raise MalformedMessage(f"status of version {status.v}; this program reads {STATUS_VERSION}")
            return EdgeSeen(place.address.edge, status.state == "online", now_ns)
        case _:
            raise MalformedMessage("nothing that calibration reads")


def _kept(words: str) -> str:
    """Return words as any database keeps them: bounded, and without NUL."""
    return words.replace("\0", "")[:MAX_REASON]


def _report(place: EdgeTopic, payload: bytes) -> Report:
    report = coefficients.decode_report(payload)
    if report.sensor != place.sensor:
        raise MalformedMessage(f"it is about sensor {report.sensor}")
    if max(len(report.set_id), len(report.running)) > MAX_ID or not EARLIEST <= report.at_ns <= LATEST:
        raise MalformedMessage("its set or its instant cannot be")
    return dataclasses.replace(report, reason=_kept(report.reason))
