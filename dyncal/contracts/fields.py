"""Ranges of the fields on the wire: what a database's 64-bit integer and a topic level can hold.

A payload beyond them is malformed, whatever program reads it.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import EARLIEST, LATEST

_INT64: Final = 2**63 - 1

_NAME: Final = Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128, description="A topic level.")
Name = Annotated[str, _NAME]
SensorName = Annotated[SensorId, _NAME]
EdgeName = Annotated[EdgeId, _NAME]
SetId = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._:@+-]*$", max_length=256, description="Id of a set.")]
Text = Annotated[str, Meta(max_length=10_000)]
Trace = Annotated[str, Meta(pattern="^([0-9a-f]{32})?$", description="Trace id of a block of samples, or ''.")]

Instant = Annotated[int, Meta(ge=EARLIEST, le=LATEST, description="Nanoseconds since 1970-01-01T00:00:00Z.")]
Span = Annotated[int, Meta(ge=0, le=LATEST, description="Nanoseconds.")]
Interval = Annotated[int, Meta(ge=1, le=LATEST, description="Nanoseconds.")]
Count = Annotated[int, Meta(ge=0, le=_INT64)]
Ordinal = Annotated[int, Meta(ge=1, le=_INT64)]
Watermark = Annotated[int, Meta(ge=-1, le=_INT64)]
StatusCode = Annotated[int, Meta(ge=0, le=2**32 - 1, description="OPC UA status code.")]
NotNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
