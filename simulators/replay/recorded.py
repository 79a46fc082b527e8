"""Recordings and stores as sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidSetting
from dyncal.domain.quality import GOOD, is_bad
from dyncal.domain.samples import SampleSeries
from dyncal.domain.sensors import EdgeId, Pairing, Sensor, SensorId, SiteId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, duration
from dyncal.ports.sample_store import SampleStore
from edge_agent.events import StreamConfig
from simulators.recordings import Recording, RecordingInfo, Selection
from simulators.replay.sources import Block

SITE: Final = SiteId("replay")
EDGE: Final = EdgeId("edge1")

_GAP_INTERVALS: Final = 1.5  # as an edge has it whose settings say nothing else
_SILENT_INTERVALS: Final = 20
_SILENT_NS: Final = duration(5.0)
_PAGE_SAMPLES: Final = 100_000  # of the fastest channel: what is held of each at a time


def streams_of(sensors: Iterable[Sensor], pairings: Iterable[Pairing]) -> list[StreamConfig]:
    """Return what an edge with plain settings knows of these sensors."""
    of = {pairing.sensor: pairing for pairing in pairings}
    return [
        StreamConfig(
            sensor,
            DurationNs(round(_GAP_INTERVALS * sensor.dt_ns)),
            DurationNs(max(_SILENT_NS, _SILENT_INTERVALS * sensor.dt_ns)),
            pairing=of.get(sensor.id),
        )
        for sensor in sensors
    ]


class RecordedSource:
    """A recording. Where it does not tell when samples arrived, they arrived at the instant that they bear.

    Parameters
    ----------
    recording : Recording
    gather_ns : int
        Samples of a channel within such a span are read together [ns]; 0: as they stand in the file.

    Raises
    ------
    InvalidSetting
        If a channel has no rate: an edge must know it.
    """

    def __init__(self, recording: Recording, gather_ns: int = 0) -> None:
        self._recording, self._gather_ns = recording, DurationNs(gather_ns)
        self._streams = streams_of(_sensors(recording), [p.pairing() for p in recording.info.pairings])

    @property
    def name(self) -> str:
        """Name of what was recorded, or of the file."""
        return self._recording.info.source.name or self._recording.file.name

    @property
    def streams(self) -> Sequence[StreamConfig]:
        """The channels."""
        return self._streams

    def end_ns(self) -> None:
        """Return None: only reading it to its end tells."""
        return

    def blocks(self) -> Iterator[Block]:
        """Iterate over the rows, in their order."""
        newest = 0
        for block in self._recording.blocks(Selection(), gather_ns=self._gather_ns):
            arrival = int(block.t_ns[-1]) if block.arrival_ns is None else block.arrival_ns
            newest = max(newest, arrival)
            codes = np.full(len(block), GOOD, np.uint32) if block.quality is None else block.quality
            yield Block(SensorId(block.channel), block.t_ns, block.values, codes, InstantNs(newest))


def _sensors(recording: Recording) -> list[Sensor]:
    info: RecordingInfo = recording.info
    if not info.channels:
        is_csv = recording.file.suffix.lower() == ".csv"
        where = recording.file.with_suffix(".toml") if is_csv else "its metadata (key dyncal of the schema)"
        raise InvalidSetting(
            f"{recording.file}: it does not declare its channels: name them, with unit and rate_hz, in {where}"
        )
    found: list[Sensor] = []
    for name, channel in info.channels.items():
        if channel.dt_ns is None:
            raise InvalidSetting(f"{recording.file}: channels.{name}: rate_hz is missing: an edge must know it")
        found.append(Sensor(SensorId(name), SITE, EDGE, channel.unit, channel.dt_ns, channel.label))
    return found


class StoredSource:
    """What a time-series store has of some sensors, page by page; when it arrived is not known there any more.

    Parameters
    ----------
    store : SampleStore
    sensors, pairings : sequences
    from_ns, to_ns : int
        from <= t < to.
    together_ns : int
        Samples of a channel that lie within such a span arrive together, at the end of it [ns].
    """

    def __init__(
        self,
        store: SampleStore,
        sensors: Sequence[Sensor],
        pairings: Sequence[Pairing],
        from_ns: InstantNs,
        to_ns: InstantNs,
        together_ns: DurationNs,
        name: str,
    ) -> None:
        self._store, self._sensors, self._name = store, sensors, name
        self._streams = streams_of(sensors, pairings)
        self._from_ns, self._to_ns, self._together_ns = from_ns, to_ns, together_ns

    @property
    def name(self) -> str:
        """Name of the store."""
        return self._name

    @property
    def streams(self) -> Sequence[StreamConfig]:
        """The channels."""
        return self._streams

    def end_ns(self) -> InstantNs:
        """Return the end of the span."""
        return self._to_ns

    def blocks(self) -> Iterator[Block]:
        """Iterate over all samples in order of time. Raises as `SampleStore.read`."""
        step, fastest = self._together_ns, min((s.dt_ns for s in self._sensors), default=NS_PER_S)
        n_steps = max(_PAGE_SAMPLES * fastest // step, 1)
        for begin in range(self._from_ns, self._to_ns, n_steps * step):
            end = min(begin + n_steps * step, self._to_ns)
            page = [(s.id, _measured(self._store.read(s.id, InstantNs(begin), InstantNs(end)))) for s in self._sensors]
            for start in range(begin, end, step):
                yield from _at(page, start, min(start + step, end))


def _at(page: Sequence[tuple[SensorId, SampleSeries]], start: int, end: int) -> Iterator[Block]:
    for sensor, series in page:
        first, last = np.searchsorted(series.t_ns, (start, end)).tolist()
        if last > first:
            part = slice(first, last)
            yield Block(sensor, series.t_ns[part], series.raw[part], series.quality[part], InstantNs(end))


def _measured(series: SampleSeries) -> SampleSeries:
    """Return the rows that were read: those with a value, and those of which the code says that there is none."""
    read = np.isfinite(series.raw) | is_bad(series.quality)
    if bool(read.all()):
        return series
    rows = np.flatnonzero(read)
    return SampleSeries(
        series.t_ns[rows],
        series.raw[rows],
        series.corrected[rows],
        series.u[rows],
        series.quality[rows],
        series.set_index[rows],
        series.set_ids,
    )
