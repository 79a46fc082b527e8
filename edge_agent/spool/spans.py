"""Runs of sequences, with the time and the number of samples that they cover."""

from __future__ import annotations

from typing import NamedTuple

from edge_agent.spool.segment import Entry


class Span(NamedTuple):
    """Sequences `first` to `last` of a sensor, their samples between two instants [ns], and how many those are."""

    first: int
    last: int
    t_first_ns: int
    t_last_ns: int
    n_samples: int

    def joined(self, other: Span) -> Span:
        """Return the run that covers both."""
        return Span(
            min(self.first, other.first),
            max(self.last, other.last),
            min(self.t_first_ns, other.t_first_ns),
            max(self.t_last_ns, other.t_last_ns),
            self.n_samples + other.n_samples,
        )


def span_of(entry: Entry) -> Span:
    """Return the run that an entry is."""
    return Span(entry.first, entry.last, entry.t_first_ns, entry.t_last_ns, entry.n_samples)


def add_span(spans: list[Span], span: Span) -> None:
    """Add a run to the end of a list, joined with the last where it goes on from it."""
    if spans and spans[-1].last + 1 == span.first:
        spans[-1] = spans[-1].joined(span)
    else:
        spans.append(span)


def merged(spans: list[Span]) -> list[Span]:
    """Return the runs in order, those that touch joined."""
    joined: list[Span] = []
    for span in sorted(spans):
        add_span(joined, span)
    return joined
