"""What a scenario says of its OPC UA server: how well it behaves. Without a word it behaves as it should."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from dyncal.runtime.settings import Section
from simulators.scenarios.converter_settings import SpanSpec


class StatusSpec(SpanSpec):
    """A span in which values come with a status code."""

    code: str
    """Its name in OPC 10000-4, such as `BadSensorFailure` or `UncertainLastUsableValue`."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.value is None:
            raise ValueError(f"code = {self.code!r}: there is no such status code; BadSensorFailure is one")
        return self

    @property
    def value(self) -> int | None:
        """The code; None if there is none of this name."""
        from asyncua import ua  # noqa: PLC0415  # slow, and most scenarios have no use for it

        found = getattr(ua.StatusCodes, self.code, None)
        return found if isinstance(found, int) else None


class StampSpec(SpanSpec):
    """A span in which source time stamps are not what they should be."""

    kind: Literal["local", "future", "zero", "absent", "both_absent"]
    """`local`: local time taken for UTC, `hours` east of it; `future`: `hours` ahead; `zero`: 1601-01-01; `absent`: the
    server's time stamp alone; `both_absent`: none at all."""

    hours: float = Field(2.0, ge=-24 * 366, le=24 * 366 * 20)
    """By how much, where `kind` is `local` or `future` [h]."""


class OpcuaSpec(Section):
    """How the OPC UA server behaves. Spans are since the first sample."""

    sampling_s: float = Field(0.0, ge=0, le=3600)
    """It takes values no more often than this [s]; 0: each one."""

    publishing_s: float = Field(0.0, ge=0, le=3600)
    """It publishes no more often than this [s]; 0: as asked."""

    queue_size: int = Field(10_000, ge=1, le=1_000_000)
    """Most values that a queue holds; the oldest are dropped."""

    tells_revisions: bool = True
    """Whether it says that interval and queue are others than those asked for."""

    overflow: Literal["told", "silent"] = "told"
    """Whether the value behind those that were dropped bears the overflow bit."""

    history: Literal["none", "kept", "refused"] = "none"
    """`kept`: until the next restart; `refused`: nodes say that they have one, and reading it fails."""

    restarts: list[SpanSpec] = Field(default_factory=list)
    """Spans in which it is down; subscriptions, queues and history are gone after each."""

    reorders_namespaces: bool = False
    """Whether its namespaces have other indices after each restart; under the index of before is another plant then."""

    mute: list[SpanSpec] = Field(default_factory=list)
    """Spans in which sessions go on, but nothing is published, not even that it is alive."""

    status: list[StatusSpec] = Field(default_factory=list)
    """Spans with status codes."""

    stamps: list[StampSpec] = Field(default_factory=list)
    """Spans with wrong time stamps."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        ends = 0.0
        for span in self.restarts:
            if span.from_s < ends:
                raise ValueError("restarts: in order of time, and none before the one before it is over")
            ends = span.to_s
        return self
