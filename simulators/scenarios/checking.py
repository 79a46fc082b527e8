"""Holding scenarios against the system: each through the real engines without network, a verdict for each sensor."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, Int64Array, duration
from simulators.plant import Plant
from simulators.replay import Effects, Options, replay
from simulators.replay.simulated import T0, SimulatedSource
from simulators.scenarios.scenario import Scenario, StationSpec
from simulators.scenarios.verdicts import Verdict, judge

MANY: Final = 50
"""Stations beyond which samples are taken together."""


@dataclass(slots=True)
class _Corrected:
    """What came out corrected, by sensor."""

    t_ns: dict[str, list[Int64Array]] = field(default_factory=dict)
    value: dict[str, list[FloatArray]] = field(default_factory=dict)

    def take(self, sensor: SensorId, t_ns: Int64Array, value: FloatArray, u: FloatArray) -> None:
        del u
        self.t_ns.setdefault(sensor, []).append(t_ns)
        self.value.setdefault(sensor, []).append(value)


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """A scenario that was held against the system."""

    effects: Effects
    verdicts: list[Verdict]


def check(scenario: Scenario, options: Options | None = None, *, t0_ns: InstantNs = T0) -> Checked:
    """Replay a scenario for as long as it lasts, and judge what was concluded.

    Of more than `MANY` stations samples are taken together by the second: decisions come so much later, the replay is
    faster by far.

    Raises
    ------
    InvalidSetting, InvalidData
        If the scenario declares what no edge takes.
    """
    corrected = _Corrected()
    source = SimulatedSource(scenario, duration(scenario.lasts_s), t0_ns)
    if options is None and len(scenario.stations) > MANY:
        options = Options(gather_ns=DurationNs(NS_PER_S))
    effects = replay(source, options, on_corrected=corrected.take).effects
    plant = Plant(scenario, t0_ns)
    asked = [s for s in scenario.stations if s.expect.min_gain > 0 and s.expect.n_sets > 0]
    gains = {s.id: _gain(plant, s, corrected) for s in asked}
    return Checked(effects, judge(scenario, effects, gains))


def _gain(plant: Plant, station: StationSpec, corrected: _Corrected) -> float | None:
    """Return the rms error of raw over corrected indications, at the instants at which there are both."""
    if station.id not in corrected.t_ns:
        return None
    t_ns, value = np.concatenate(corrected.t_ns[station.id]), np.concatenate(corrected.value[station.id])
    raw_t_ns, raw = _raw(plant, station, int(t_ns[-1]))
    _, ours, theirs = np.intersect1d(t_ns, raw_t_ns, return_indices=True)
    if not ours.size:
        return None
    truth = plant.truth(station, t_ns[ours])
    left = float(np.sqrt(np.mean((value[ours] - truth) ** 2)))
    return float(np.sqrt(np.mean((raw[theirs] - truth) ** 2))) / left if left > 0 else None


def _raw(plant: Plant, station: StationSpec, until_ns: int) -> tuple[Int64Array, FloatArray]:
    channel = plant.channel(station, "sensor")
    made = [channel.next_publication()]
    while made[-1].t_ns[-1] < until_ns:
        made.append(channel.next_publication())
    said = [publication for publication in made if publication.copies]
    return np.concatenate([p.t_ns for p in said]), np.concatenate([p.value for p in said])


def as_record(verdict: Verdict) -> dict[str, object]:
    """Return a verdict as it goes into JSON."""
    return {**dataclasses.asdict(verdict), "ok": verdict.ok}


def table(verdicts: Sequence[Verdict]) -> str:
    """Return scenario, sensor, expected, concluded, ok: as a table of text, and below it what is wrong."""
    head = ("scenario", "sensor", "expected", "concluded", "ok")
    rows = [(v.scenario, v.sensor, v.expected, v.concluded, "yes" if v.ok else "NO") for v in verdicts]
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in [head, *rows]]
    wrong = [f"{v.scenario}, {v.sensor}: {what}" for v in verdicts for what in v.wrong]
    return "\n".join([*lines, "", *(wrong or ["all as expected"])])
