"""Runs of sequences, with the time and the number of samples that they cover."""

from __future__ import annotations

from typing import NamedTuple

from dyncal.contracts import samples as wire
from dyncal.domain.errors import MalformedMessage
from dyncal.domain.samples import GapCause, GapRecord
from edge_agent.spool.segment import Entry, EntryKind


class Span(NamedTuple):
    """Sequences `first` to `last` of a sensor, their samples between two instants [ns], and how many those are.

    Of what is lost, `damaged` tells that its file could not be read; the rest was given up for want of room.
    """

    first: int
    last: int
    t_first_ns: int
    t_last_ns: int
    n_samples: int
    damaged: bool = False

    def goes_on(self, other: Span) -> bool:
        """Tell whether this run follows the other at once, and is lost as that is."""
        return other.last + 1 == self.first and other.damaged == self.damaged

    def joined(self, other: Span) -> Span:
        """Return the run that covers both."""
        return Span(
            min(self.first, other.first),
            max(self.last, other.last),
            min(self.t_first_ns, other.t_first_ns),
            max(self.t_last_ns, other.t_last_ns),
            self.n_samples + other.n_samples,
            self.damaged,
        )

    def covers(self, other: Span) -> bool:
        """Tell whether the other's sequences are among these."""
        return self.first <= other.first and other.last <= self.last


def span_of(entry: Entry) -> Span:
    """Return the run that an entry is."""
    damaged = entry.kind is EntryKind.DROPPED and _damaged(entry)
    return Span(entry.first, entry.last, entry.t_first_ns, entry.t_last_ns, entry.n_samples, damaged)


def _damaged(entry: Entry) -> bool:
    try:
        record = wire.decode(entry.payload)
    except MalformedMessage:  # of a later version
        return False
    return isinstance(record, GapRecord) and record.gap.cause is GapCause.SPOOL_DAMAGED


def add_span(spans: list[Span], span: Span) -> None:
    """Add a run to the end of a list, joined with the last where it goes on from it."""
    if spans and span.goes_on(spans[-1]):
        spans[-1] = spans[-1].joined(span)
    else:
        spans.append(span)


def merged(spans: list[Span]) -> list[Span]:
    """Return the runs in order, those that touch joined, those that another covers left out."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.first, -span.last)):
        if not (joined and joined[-1].covers(span)):
            add_span(joined, span)
    return joined


def outside(spans: list[Span], upto: int) -> list[Span]:
    """Return what there is in runs behind a sequence; their samples are those of the whole where one is cut."""
    return [span._replace(first=max(span.first, upto + 1)) for span in spans if span.last > upto]


def without(spans: list[Span], lost: Span) -> list[Span]:
    """Return runs less the end of one of them."""
    kept: list[Span] = []
    for span in spans:
        if not span.first <= lost.first <= span.last:
            kept.append(span)
        elif span.first < lost.first:
            kept.append(span._replace(last=lost.first - 1, n_samples=max(0, span.n_samples - lost.n_samples)))
    return kept


def behind(spans: list[Span], kept: list[Span]) -> list[Span]:
    """Return what there is in runs behind those that were kept of them."""
    lost: list[Span] = []
    for span in spans:
        part = [item for item in kept if span.first <= item.first <= span.last]
        if not part:
            lost.append(span)
        elif part[-1].last < span.last:
            n = max(0, span.n_samples - sum(item.n_samples for item in part))
            lost.append(Span(part[-1].last + 1, span.last, max(item.t_last_ns for item in part), span.t_last_ns, n))
    return lost
