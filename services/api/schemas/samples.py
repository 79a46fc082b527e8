"""Samples and gaps."""

from __future__ import annotations

from typing import Self

from dyncal.domain.samples import Gap, GapCause
from services.api.schemas.base import InstantNs, Shape, example


class SamplesOut(Shape):
    """Rows in columns, oldest first. All arrays have one length; a value that is not there is null."""

    model_config = example(
        sensor="TT-101",
        unit="Cel",
        from_ns=1_769_860_800_000_000_000,
        to_ns=1_769_860_801_000_000_000,
        decimated=False,
        t_ns=[1_769_860_800_000_000_000],
        raw=[21.3],
        corrected=[21.7],
        u=[0.08],
        quality=[0],
        set_index=[0],
        sets=["TT-101.4"],
        aggregated=False,
    )

    sensor: str
    unit: str
    from_ns: InstantNs
    to_ns: InstantNs
    decimated: bool
    """True where the smallest and largest of each interval stand for more rows."""
    t_ns: list[int]
    raw: list[float | None]
    corrected: list[float | None]
    u: list[float | None]
    """Standard uncertainty of `corrected` (k = 1)."""
    quality: list[int]
    """OPC UA status codes."""
    set_index: list[int]
    """Position in `sets` of the set that made `corrected`; -1 where there is none."""
    sets: list[str]
    aggregated: bool
    """True where some rows stand for samples that are not kept any more. Then there are the columns below; `raw` and
    `corrected` of such a row are means, `u` bounds the uncertainty of the mean, `quality` is the worst."""
    width_ns: list[int] | None = None
    """Length of the interval, from `t_ns` on, that a row stands for; 0: it is a sample."""
    n: list[int] | None = None
    """Rows that it stands for; 1 of a sample."""
    raw_min: list[float | None] | None = None
    raw_max: list[float | None] | None = None
    corrected_min: list[float | None] | None = None
    corrected_max: list[float | None] | None = None


class GapOut(Shape):
    """An interval without samples, and why."""

    model_config = example(
        after_ns=1_769_860_800_000_000_000, before_ns=1_769_860_812_000_000_000, cause="connection_lost", n_lost=None
    )

    after_ns: InstantNs
    before_ns: InstantNs
    cause: GapCause
    n_lost: int | None
    """Samples lost; null where that cannot be known."""

    @classmethod
    def of(cls, gap: Gap) -> Self:
        """Return the shape of a gap."""
        return cls(after_ns=gap.after_ns, before_ns=gap.before_ns, cause=gap.cause, n_lost=gap.n_lost)


class GapList(Shape):
    """A page of the gaps of one sensor: the newest first page by page, oldest first within a page."""

    sensor: str
    items: list[GapOut]
    next_cursor: str | None = None
    """Where the next page, of older gaps, begins; null after the last one."""
