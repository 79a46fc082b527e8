"""Which samples may be replaced by aggregates, and which must stay: decided here, without a store or a clock."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from dyncal.domain.aggregates import SAMPLES
from dyncal.domain.errors import InvalidData
from dyncal.domain.time import EARLIEST, LATEST, NS_PER_S, DurationNs, InstantNs


class Span(NamedTuple):
    """Instants with from_ns <= t < to_ns."""

    from_ns: int
    to_ns: int


EVER: Final = Span(EARLIEST, LATEST)


@dataclass(frozen=True, slots=True)
class Stage:
    """What becomes of samples (width `SAMPLES`) or aggregates of a width that are older than `keep_ns`.

    `by_ns` is the width of the aggregates that take their place; None where nothing does.
    """

    width_ns: int
    keep_ns: DurationNs
    by_ns: int | None

    @property
    def align_ns(self) -> int:
        """Ranges begin and end at multiples of this, so that buckets are whole."""
        return self.by_ns or self.width_ns or NS_PER_S


@dataclass(frozen=True, slots=True)
class Policy:
    """Stages from samples on, each width a multiple of the one before, each kept for longer."""

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if self.stages and self.stages[0].width_ns != SAMPLES:
            raise InvalidData("retention begins with samples")
        for stage in self.stages:
            if stage.by_ns is not None and (stage.by_ns <= stage.width_ns or stage.by_ns % max(stage.width_ns, 1)):
                raise InvalidData("each aggregate must be a multiple of the one before")
        for before, after in itertools.pairwise(self.stages):
            if before.by_ns != after.width_ns or after.keep_ns <= before.keep_ns:
                raise InvalidData("each aggregate must be kept for longer than what it stands for")


def policy_of(keep_ns: DurationNs | None, widths: Sequence[tuple[int, DurationNs | None]]) -> Policy:
    """Return the policy that keeps samples for `keep_ns` (None: for ever), then each width until its own time is over.

    Raises
    ------
    InvalidData
        If a width is no multiple of the one before, is not kept for longer, or follows one that is kept for ever.
    """
    if keep_ns is None:
        return Policy(())
    stages: list[Stage] = []
    width_ns, keep = SAMPLES, keep_ns
    for k, (by_ns, until) in enumerate(widths):
        stages.append(Stage(width_ns, keep, by_ns))
        if until is None:
            if k + 1 < len(widths):
                raise InvalidData("what follows an aggregate that is kept for ever would never be made")
            return Policy(tuple(stages))
        width_ns, keep = by_ns, until
    return Policy((*stages, Stage(width_ns, keep, None)))


def next_range(
    stage: Stage, first: InstantNs, now: InstantNs, longest_ns: int, kept: Iterable[Span]
) -> tuple[InstantNs, InstantNs] | None:
    """Return the oldest range from `first` on that is past its time, touches nothing `kept`, and is not too long.

    Whole buckets only: one in which anything is to be kept stays. None where there is no such range.
    """
    align = stage.align_ns
    start = first - first % align
    end = max(now - stage.keep_ns, 0)
    end -= end % align
    for span in sorted(Span(one.from_ns - one.from_ns % align, one.to_ns + -one.to_ns % align) for one in kept):
        if span.to_ns <= start:
            continue
        if span.from_ns > start:
            end = min(end, span.from_ns)
            break
        start = span.to_ns
    end = min(end, start + max(longest_ns - longest_ns % align, align))
    return (InstantNs(start), InstantNs(end)) if start < end else None
