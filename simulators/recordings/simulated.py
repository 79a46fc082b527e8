"""A scenario made into a recording: what its channels would have handed over, in the order of arrival."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import dyncal
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import DurationNs, InstantNs, parse_iso
from simulators.physics.dynamics import Rational
from simulators.plant import Plant
from simulators.recordings.blocks import Block
from simulators.recordings.files import write_recording
from simulators.recordings.info import ChannelInfo, PairingInfo, RecordingInfo, SourceInfo, si_unit
from simulators.scenarios.scenario import DELAY, Scenario, StationSpec
from simulators.surfaces.pacing import Schedule

T0_NS: Final = parse_iso("2026-01-01T00:00:00Z")
"""Instant of the first sample, where nobody says otherwise: the same scenario makes the same recording."""


def info_of(scenario: Scenario, t0_ns: InstantNs) -> RecordingInfo:
    """Return the metadata of a scenario's recording: all that the plant declares, and nothing of the truth."""
    channels = {}
    for station in scenario.stations:
        common = {"unit": station.unit, "si_unit": si_unit(station.unit), "rate_hz": station.rate_hz}
        channels[station.id] = ChannelInfo(**common, role="sensor", label=station.label)
        if station.referenced_by is None:
            channels[station.reference_id] = ChannelInfo(**common, role="reference", label=f"Reference of {station.id}")
    return RecordingInfo(
        order="arrival",
        channels=channels,
        pairings=[pairing_of(s) for s in scenario.stations if s.declared is not ModelKind.STATIC],
        source=SourceInfo(
            kind="scenario",
            name=scenario.name,
            title=scenario.title,
            seed=scenario.seed,
            t0_ns=t0_ns,
            made_by=f"dyncal {dyncal.__version__}",
        ),
    )


def pairing_of(station: StationSpec) -> PairingInfo:
    """Return what the plant declares of a station's sensor and reference."""
    form = station.form if station.declared is station.model else None
    poles = {"n_poles": form.n_poles, "n_zeros": form.n_zeros} if isinstance(form, Rational) else {}
    return PairingInfo(
        sensor=station.id,
        reference=station.reference_id,
        model=station.declared,
        dead_time=DELAY in station.parameters and form is not None,
        **poles,
        **station.pairing.model_dump(),
    )


def arrivals(scenario: Scenario, t0_ns: InstantNs, duration_ns: DurationNs) -> Iterator[Block]:
    """Yield what the channels of a plant that starts at `t0_ns` hand over, in order of arrival, doubles twice.

    Samples of publications that are due within the duration; what would have come later has not come.
    """
    schedule = Schedule(Plant(scenario, t0_ns).channels())
    end_ns = InstantNs(t0_ns + duration_ns)
    while (item := schedule.pop_due(end_ns)) is not None:
        channel, publication = item
        block = Block(channel.id, publication.t_ns, publication.value, arrival_ns=publication.due_ns)
        for _ in range(publication.copies):
            yield block


def record_scenario(scenario: Scenario, file: Path, duration_ns: DurationNs, t0_ns: InstantNs = T0_NS) -> int:
    """Write a scenario's recording, Parquet or CSV by the ending of the name; return the number of rows.

    Raises
    ------
    InvalidData
        If the file cannot be written, or its name has another ending.
    """
    with write_recording(file, info_of(scenario, t0_ns), ("arrival",)) as writer:
        for block in arrivals(scenario, t0_ns, duration_ns):
            writer.write(block)
        return writer.n_rows
