"""What a plant's program tells on standard output, one JSON object a line."""

from __future__ import annotations

import msgspec


class Started(msgspec.Struct, frozen=True, tag="started", tag_field="event"):
    """The surfaces are up; the first sample of every channel is that of `t0_ns`."""

    scenario: str
    t0_ns: int
    opcua: str


class Stopped(msgspec.Struct, frozen=True, tag="stopped", tag_field="event"):
    """Nothing more will come: samples generated and samples published, by channel; greatest lateness."""

    generated: dict[str, int]
    published: dict[str, int]
    max_late_s: float


Report = Started | Stopped


def read_report(line: bytes | str) -> Report:
    """Return the report of a line of standard output. Raises `msgspec.DecodeError`."""
    report: Report = msgspec.json.decode(line, type=Started | Stopped)
    return report
