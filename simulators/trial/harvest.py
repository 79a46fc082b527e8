"""The harvest of a trial: what store, registry, ledger and spool hold in the end, made into evidence."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from dyncal.adapters.ledger import SqliteLedger
from dyncal.adapters.registry import open_registry
from dyncal.adapters.stores import open_store
from dyncal.domain.alarms import AlarmKind, alarm_id
from dyncal.domain.coefficients import CorrectionFilter
from dyncal.domain.errors import InvalidData, NotFound
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import DurationNs, InstantNs, Int64Array, duration
from dyncal.ports.registry import ChangeFilter, Registry
from dyncal.ports.sample_store import SampleStore
from dyncal.runtime.settings import RegistrySettings, StoreSettings
from edge_agent.spool import Spool
from services.ingest.service import LEDGER_FILE
from simulators.plant import Channel, Plant
from simulators.scenarios.scenario import StationSpec
from simulators.trial.score import Evidence, Stored
from simulators.trial.watcher import Heard

_HISTORY: Final = 100_000


@dataclass(frozen=True, slots=True)
class Ended:
    """How the trial ended: samples published by channel, and the instant after which none was."""

    published: Mapping[str, int]
    generated: Mapping[str, int]
    at_ns: InstantNs


def harvest(plant: Plant, heard: Heard, ended: Ended, data_dir: Path, edge: EdgeId) -> list[Evidence]:
    """Return the evidence for every sensor; the programs must have stopped.

    Raises
    ------
    StoreUnavailable, InvalidSetting
        If a store or the spool cannot be opened.
    """
    last, committed = _sequences(data_dir, edge, ended.at_ns)
    with (
        closing(open_store(StoreSettings(), data_dir)) as store,
        closing(open_registry(RegistrySettings(), data_dir)) as registry,
    ):
        return [
            _evidence(plant, station, heard, ended, store, registry, last, committed)
            for station in plant.scenario.stations
        ]


def last_instants(plant: Plant, generated: Mapping[str, int]) -> dict[str, int]:
    """Return the instant of the last sample that each channel published, where it published any [ns]."""
    instants = {channel.id: _made(channel, generated.get(channel.id, 0))[0] for channel in plant.channels()}
    return {name: int(t_ns[-1]) for name, t_ns in instants.items() if t_ns.size}


def missing(data_dir: Path, last_ns: Mapping[str, int]) -> list[str]:
    """Return the channels whose last published sample is not in the store yet; the programs may be running."""
    with closing(open_store(StoreSettings(), data_dir)) as store:
        return [name for name, t_ns in last_ns.items() if _newest(store, name) < t_ns]


def _newest(store: SampleStore, channel_id: str) -> int:
    series = store.latest(SensorId(channel_id))
    with_raw = series.t_ns[np.isfinite(series.raw)]
    return int(with_raw[-1]) if with_raw.size else -1


def _sequences(data_dir: Path, edge: EdgeId, now: InstantNs) -> tuple[dict[str, int], dict[str, int]]:
    """Return the last record that the edge numbered, from its spool, and the ledger's watermark, by channel."""
    with closing(Spool.open(data_dir / "edge" / edge / "spool", edge, now)) as spool:
        epoch = spool.epoch
        last = {str(sensor): start.next_sequence - 1 for sensor, start in spool.starts.items()}
    with closing(SqliteLedger(data_dir / LEDGER_FILE)) as ledger:
        return last, {str(sensor): upto for sensor, upto in ledger.watermarks(edge, epoch).items()}


def _evidence(
    plant: Plant,
    station: StationSpec,
    heard: Heard,
    ended: Ended,
    store: SampleStore,
    registry: Registry,
    last: Mapping[str, int],
    committed: Mapping[str, int],
) -> Evidence:
    sensor = _stored(plant.channel(station, "sensor"), ended, store)
    reference = _stored(plant.channel(station, "reference"), ended, store)
    applied = heard.applied(station.id)
    filters = [f for report in applied if (f := _filter(registry, report.set_id)) is not None]
    settle = max((f.fir.size * f.dt_ns for f in filters[:1]), default=0)
    delay = max((f.latency_ns for f in filters), default=0)
    newest = int(sensor.t_ns[-1]) if sensor.t_ns.size else 0
    alarms = [
        change.alarm.raised_ns
        for change in registry.alarm_history(ChangeFilter(alarm_id(station.id, AlarmKind.DRIFT)), limit=_HISTORY)
        if change.alarm.active and change.alarm.raised_ns is not None and change.alarm.raised_ns >= plant.t0_ns
    ]
    drift_from = min((duration(law.from_s) for law in station.drift), default=None)
    ids = (station.id, station.reference_id)
    return Evidence(
        id=station.id,
        conclusion=station.expect.conclusion,
        min_gain=station.expect.min_gain,
        sensor=sensor,
        reference=reference,
        truth=plant.truth(station, sensor.t_ns),
        applied_ns=applied[0].at_ns if applied else None,
        n_applied=len(applied),
        settle_ns=DurationNs(settle),
        end_ns=InstantNs(newest - delay),
        drift_from_ns=None if drift_from is None else InstantNs(plant.t0_ns + drift_from),
        drift_alarms_ns=tuple(sorted(set(alarms))),
        last_sequence=(last.get(ids[0], -1), last.get(ids[1], -1)),
        committed=(committed.get(ids[0], -1), committed.get(ids[1], -1)),
    )


def _stored(channel: Channel, ended: Ended, store: SampleStore) -> Stored:
    series = store.read(SensorId(channel.id), channel.t0_ns, ended.at_ns)
    made_t_ns, made = _made(channel, ended.generated.get(channel.id, 0))
    return Stored(series.t_ns, series.raw, series.corrected, series.u, made_t_ns, made)


def _made(channel: Channel, n_generated: int) -> tuple[Int64Array, FloatArray]:
    """Return what a fresh channel published when it had generated `n_generated` samples."""
    t_ns, value, count = [np.empty(0, np.int64)], [np.empty(0)], 0
    while count < n_generated:
        publication = channel.next_publication()
        count += publication.value.size
        if publication.copies:
            t_ns.append(publication.t_ns)
            value.append(publication.value)
    return np.concatenate(t_ns), np.concatenate(value)


def _filter(registry: Registry, set_id: str) -> CorrectionFilter | None:
    try:
        return registry.coefficient_set(set_id).coefficients.filter
    except (NotFound, InvalidData):  # not there any more, or it has a smoother
        return None
