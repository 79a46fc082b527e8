"""A range of a sensor as it is kept: samples, and aggregates where these have taken their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.adapters.decimation import concatenated
from dyncal.domain import aggregates
from dyncal.domain.aggregates import Aggregates
from dyncal.domain.samples import FloatArray, SampleSeries
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs, Int64Array
from dyncal.ports.history import HistoryStore

PAGE: Final = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Stood:
    """What rows of a series stand for, where some of them are aggregates; arrays of its length.

    Attributes
    ----------
    width_ns : int64
        Length of the interval from the row's instant on; 0 of a sample.
    n : int64
        Rows that it stands for; 1 of a sample.
    raw_min, raw_max, corrected_min, corrected_max : float64
        Extremes; of a sample the value itself.
    """

    width_ns: Int64Array
    n: Int64Array
    raw_min: FloatArray
    raw_max: FloatArray
    corrected_min: FloatArray
    corrected_max: FloatArray

    @property
    def extremes(self) -> tuple[FloatArray, ...]:
        """The extremes, in the order of their names above."""
        return self.raw_min, self.raw_max, self.corrected_min, self.corrected_max


def read(
    store: HistoryStore, sensor: SensorId, start: InstantNs, end: InstantNs, max_points: int | None = None
) -> tuple[SampleSeries, Stood | None]:
    """Return the rows of a range, and what they stand for where not all of them are samples.

    With `max_points` about that many samples at most, and as many aggregates: these are combined to wider ones.
    Raises as `SampleStore.read`.
    """
    samples = store.read(sensor, start, end, max_points=max_points)
    before = _aggregates(store, sensor, start, end, max_points)
    return (samples, None) if not len(before) else _together(samples, before)


def of_samples(series: SampleSeries) -> Stood:
    """Return what samples stand for: themselves."""
    n = len(series)
    return Stood(
        np.zeros(n, np.int64), np.ones(n, np.int64), series.raw, series.raw, series.corrected, series.corrected
    )


def any_aggregates(store: HistoryStore, sensor: SensorId, start: InstantNs, end: InstantNs) -> bool:
    """Tell whether a range has aggregates. Raises as `SampleStore.read`."""
    return len(store.aggregates(sensor, start, end, limit=1)) > 0


def _aggregates(
    store: HistoryStore, sensor: SensorId, start: InstantNs, end: InstantNs, max_points: int | None
) -> Aggregates:
    pages, at = [], start
    while len(page := store.aggregates(sensor, at, end, limit=PAGE)):
        at = InstantNs(int(page.t_ns[-1]) + 1)
        pages.append(page if max_points is None else _wider(page, -(-(end - start) // max_points)))
    return aggregates.merged(pages)


def _wider(page: Aggregates, least_ns: int) -> Aggregates:
    """Return aggregates combined to a width of at least `least_ns`, as they are where they have it."""
    widest = int(page.width_ns.max())
    if int(page.width_ns.min()) >= least_ns:
        return page
    return aggregates.coarser(page, -(-least_ns // widest) * widest)


def _together(samples: SampleSeries, before: Aggregates) -> tuple[SampleSeries, Stood]:
    means = SampleSeries(
        before.t_ns, before.raw, before.corrected, before.u, before.quality, before.set_index, before.set_ids
    )
    whole = concatenated([means, samples])
    order = np.argsort(whole.t_ns, kind="stable")
    rows = SampleSeries(
        whole.t_ns[order],
        whole.raw[order],
        whole.corrected[order],
        whole.u[order],
        whole.quality[order],
        whole.set_index[order],
        whole.set_ids,
        samples.decimated,
    )

    def beside(of_aggregates: npt.NDArray[np.int64], of_samples: int) -> Int64Array:
        column: Int64Array = np.concatenate([of_aggregates, np.full(len(samples), of_samples, np.int64)])[order]
        return column

    def extreme(of_aggregates: FloatArray, of_samples: FloatArray) -> FloatArray:
        column: FloatArray = np.concatenate([of_aggregates, of_samples])[order]
        return column

    return rows, Stood(
        beside(before.width_ns, 0),
        beside(before.n_rows, 1),
        extreme(before.raw_min, samples.raw),
        extreme(before.raw_max, samples.raw),
        extreme(before.corrected_min, samples.corrected),
        extreme(before.corrected_max, samples.corrected),
    )
