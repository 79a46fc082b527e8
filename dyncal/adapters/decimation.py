"""Decimation of rows that come piece by piece: the same rows as all at once, in memory for few."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dyncal.adapters.series import NO_CORRECTED, NO_RAW, ROWS_PER_BUCKET, Buckets, join
from dyncal.domain.samples import SampleSeries


class Decimator:
    """Gathers the pieces of a range, oldest first, and keeps of them what `series.decimate` keeps of the whole.

    The extremes of a bucket are among the extremes of its parts. It holds at most about three times `max_points` rows
    and one piece.

    Parameters
    ----------
    first_ns, last_ns : int
        Instants of the first row and of the last one of all pieces.
    max_points : int
        As in `SampleStore.read`.
    """

    def __init__(self, first_ns: int, last_ns: int, max_points: int) -> None:
        self._buckets = Buckets.over(first_ns, last_ns, max_points)
        self._most = max(max_points, ROWS_PER_BUCKET)
        self._parts: list[SampleSeries] = []
        self._n_held = 0
        self._n_seen = 0

    def add(self, piece: SampleSeries) -> None:
        """Take the rows that follow in time."""
        if not len(piece):
            return
        already = self._decimating
        self._n_seen += len(piece)
        if already:
            piece = self._buckets.extremes(piece)
        self._parts.append(piece)
        self._n_held += len(piece)
        if self._decimating and (not already or self._n_held > 2 * self._most):
            self._fold()

    def result(self) -> SampleSeries:
        """Return the rows that stay; all of them where they are few."""
        if self._decimating:
            self._fold()
        return concatenated(self._parts)

    @property
    def _decimating(self) -> bool:
        return self._n_seen > self._most

    def _fold(self) -> None:
        self._parts = [self._buckets.extremes(concatenated(self._parts))]
        self._n_held = len(self._parts[0])


def concatenated(parts: Sequence[SampleSeries]) -> SampleSeries:
    """Return the rows of all parts, one after the other; decimated if one of them is."""
    if not parts:
        return join(NO_RAW, NO_CORRECTED, ())
    if len(parts) == 1:
        return parts[0]
    numbers: dict[str, int] = {}
    indices = []
    for part in parts:
        places = [numbers.setdefault(name, len(numbers)) for name in part.set_ids]
        indices.append(np.array([*places, -1], np.int32)[part.set_index])  # position -1 is the last one, which is -1
    return SampleSeries(
        t_ns=np.concatenate([part.t_ns for part in parts]),
        raw=np.concatenate([part.raw for part in parts]),
        corrected=np.concatenate([part.corrected for part in parts]),
        u=np.concatenate([part.u for part in parts]),
        quality=np.concatenate([part.quality for part in parts]),
        set_index=np.concatenate(indices),
        set_ids=tuple(numbers),
        decimated=any(part.decimated for part in parts),
    )
