"""A simulated plant on an OPC UA server that misbehaves, an edge that reads it, and what became of each sample.

``python -m tests.integration.edge_agent.misbehaving`` runs every case and prints a line of each; its status is the
number of those that did not come out as expected. Tests run some of them.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from dyncal.domain.samples import Gap, GapCause, GapRecord
from dyncal.domain.time import InstantNs, duration
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.ports import free_port
from dyncal.testing.bus import FakeBroker
from simulators.plant import Channel, Plant, Publication
from simulators.scenarios.scenario import Scenario
from simulators.surfaces.opcua_server import NAMESPACE, PlantServer
from simulators.surfaces.pacing import Tally, pace
from tests.integration.edge_agent.plant import running, sent, settings_of, until
from tests.unit.edge_agent.helpers import Content

RATE_HZ = 50.0
DT_NS = round(1e9 / RATE_HZ)
SENSOR = "TT-1"
EVENTS = "dyncal/v1/plant/edge1/events"

AMID: Final = {"from_s": 1.0, "to_s": 2.0}
FULL: Final = {"queue_size": 5, "publishing_s": 0.5}


class Case(NamedTuple):
    """A server that misbehaves, for how long, and what becomes of samples.

    Attributes
    ----------
    cause : GapCause or None
        Of the gaps that stand for what is missing; None where nothing is.
    counted : bool
        Whether gaps count what is missing to the sample.
    """

    seconds: float
    how: dict[str, Any]
    cause: GapCause | None
    counted: bool = True


CASES: Final = {
    "well behaved": Case(2, {}, None),
    "slow, says so": Case(2, {"sampling_s": 0.2}, GapCause.SOURCE_SILENT),
    "slow, does not say": Case(2, {"sampling_s": 0.2, "tells_revisions": False}, GapCause.SOURCE_SILENT),
    "drops, says so": Case(2, FULL, GapCause.SERVER_OVERFLOW),
    "drops, says so, refuses its history": Case(2, {**FULL, "history": "refused"}, GapCause.SERVER_OVERFLOW),
    "drops in silence": Case(2, {**FULL, "overflow": "silent"}, GapCause.SOURCE_SILENT),
    "drops in silence, remembers": Case(2, {**FULL, "overflow": "silent", "history": "kept"}, None),
    "bad, uncertain, no source time": Case(3, {
        "status": [{"from_s": 0.5, "to_s": 1.0, "code": "BadSensorFailure"},
                   {"from_s": 1.2, "to_s": 1.6, "code": "UncertainLastUsableValue"}],
        "stamps": [{"from_s": 2.0, "to_s": 2.5, "kind": "absent"}]}, None),
    "zero, then of the future": Case(3, {
        "stamps": [{"from_s": 0.5, "to_s": 1.0, "kind": "zero"},
                   {"from_s": 1.5, "to_s": 2.0, "kind": "future", "hours": 10_000}]}, GapCause.REJECTED),
    "no time at all": Case(2, {"stamps": [{**AMID, "kind": "both_absent"}]}, GapCause.SOURCE_SILENT, counted=False),
    "local time, ahead": Case(2, {"stamps": [{**AMID, "kind": "local"}]}, GapCause.CLOCK_STEP, counted=False),
    "local time, behind": Case(2, {"stamps": [{**AMID, "kind": "local", "hours": -2}]}, GapCause.SOURCE_SILENT),
    "restarts": Case(3, {"restarts": [AMID]}, GapCause.CONNECTION_LOST),
    "restarts, reorders": Case(3, {"restarts": [AMID], "reorders_namespaces": True}, GapCause.CONNECTION_LOST),
    "mute, says so": Case(3, {"mute": [AMID], "queue_size": 20}, GapCause.SERVER_OVERFLOW),
    "mute, drops in silence": Case(
        3, {"mute": [AMID], "queue_size": 20, "overflow": "silent"}, GapCause.SOURCE_SILENT),
    "mute for too long": Case(19, {"mute": [{"from_s": 1.0, "to_s": 18.0}]}, None),
}  # fmt: skip


def faults(case: Case, found: Outcome) -> list[str]:
    """Return what did not come out as a case says."""
    causes = {gap.cause for gap in found.gaps if gap.n_lost or not case.counted}
    said = []
    if len(found.made) < 50:
        said.append(f"only {len(found.made)} samples were made")
    if found.unaccounted:
        said.append(f"{len(found.unaccounted)} samples are missing, and nothing says so")
    if case.counted and found.n_lost != len(found.missing):
        said.append(f"{len(found.missing)} samples are missing, and gaps stand for {found.n_lost}")
    if causes != ({case.cause} - {None}):
        said.append(f"gaps are of {sorted(causes)}")
    if bool(found.missing) != (case.cause is not None):
        said.append(f"{len(found.missing)} samples are missing")
    return said


def scenario(**opcua: Any) -> Scenario:
    """Return a scenario of one sensor on a server that behaves so."""
    station = {
        "id": SENSOR, "unit": "Cel", "surface": "opcua", "model": "first_order", "rate_hz": RATE_HZ,
        "parameters": {"gain": 1.0, "tau_s": 0.5}, "measurand": {"mean": 20.0, "rms": 1.0, "band_hz": 1.0},
    }  # fmt: skip
    return Scenario.model_validate({"name": "misbehaving", "seed": 1, "stations": [station], "opcua": opcua})


@dataclass
class Outcome:
    """What was made, by its true instant, and what the edge has sent of it."""

    made: dict[int, float]
    got: dict[int, tuple[float, int]]
    gaps: list[Gap]
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def missing(self) -> set[int]:
        """Instants of samples after the first that arrived, and before the last, which did not."""
        arrived = set(self.got) & set(self.made)
        return {t for t in self.made if min(arrived) < t < max(arrived)} - arrived

    @property
    def unaccounted(self) -> set[int]:
        """Those of them that lie in no recorded gap."""
        return {t for t in self.missing if not any(gap.after_ns < t < gap.before_ns for gap in self.gaps)}

    @property
    def changed(self) -> set[int]:
        """Instants at which another value arrived than was made."""
        return {t for t, value in self.made.items() if t in self.got and self.got[t][0] != value}

    @property
    def n_lost(self) -> int:
        """Samples that gaps stand for."""
        return sum(gap.n_lost or 0 for gap in self.gaps)

    def kinds(self) -> set[str]:
        """Return the kinds of what the edge told."""
        return {event["kind"] for event in self.events}


def _arrived(broker: FakeBroker) -> dict[int, tuple[float, int]]:
    return Content.of(sent(broker)).raw


def _read_on(arrived: dict[int, tuple[float, int]], made: dict[int, float], at: int, awaited: float | None) -> bool:
    if awaited is not None:
        return any(value == awaited for value, _ in arrived.values())
    return any(t >= at and t in made for t in arrived)


async def outcome(
    tmp_path: Path,
    seconds: float,
    address: str = f"nsu={NAMESPACE};s={SENSOR}",
    *,
    awaited: float | None = None,
    **opcua: Any,
) -> Outcome:
    """Run a plant on a server that behaves so for `seconds`, and an edge that reads it from before its first sample.

    It goes on until the edge has read on after that, or has read the value `awaited`.
    """
    clock, stop, made = SystemClock(), asyncio.Event(), dict[int, float]()
    plan, broker = scenario(**opcua), FakeBroker()
    nameless = [channel for channel in Plant(plan, InstantNs(0)).channels() if channel.id == SENSOR]
    node = {"sensor": SENSOR, "node": address, "unit": "Cel", "dt_s": 1 / RATE_HZ, "silent_after_s": 60.0}
    async with PlantServer(nameless, free_port(), clock, spec=plan.opcua) as server:
        source = {"url": server.url, "publishing_s": 0.1, "timeout_s": 2.0, "nodes": [node]}
        async with running(settings_of(tmp_path, {"opcua": [source]}), broker) as service:
            await until(lambda: not service.health().parts.get(server.url, "no"), 60)
            t0_ns = InstantNs((clock.now() + duration(0.3)) // DT_NS * DT_NS)
            channels = [channel for channel in Plant(plan, t0_ns).channels() if channel.id == SENSOR]

            async def publish(channel: Channel, publication: Publication) -> None:
                await server.publish(channel, publication)
                made[int(publication.t_ns[-1])] = float(publication.value[-1])

            pacing = asyncio.create_task(pace(channels, publish, clock, stop, Tally()))
            await asyncio.sleep((t0_ns - clock.now()) / 1e9 + seconds)
            enough_ns = t0_ns + duration(seconds)
            async with asyncio.timeout(60):  # on a busy machine the edge comes back later
                while not _read_on(_arrived(broker), made, enough_ns, awaited):
                    await asyncio.sleep(0.25)
            stop.set()
            await pacing
            await asyncio.sleep(0.5)
    records = sent(broker)
    gaps = [record.gap for record in records if isinstance(record, GapRecord)]
    events = [msgspec.json.decode(payload) for payload in broker.published(EVENTS)]
    return Outcome(made, Content.of(records).raw, gaps, events)


async def main(names: list[str]) -> int:
    """Run cases, all without names; return how many did not come out as expected."""
    wrong = 0
    for name in names or CASES:
        with tempfile.TemporaryDirectory() as folder:
            found = await outcome(Path(folder), CASES[name].seconds, **CASES[name].how)
        said = faults(CASES[name], found)
        wrong += bool(said)
        figures = f"made {len(found.made)}, arrived {len(found.got)}, missing {len(found.missing)} of {found.n_lost}"
        print(f"{name:36} {figures}: {'; '.join(said) or 'as expected'}", flush=True)  # noqa: T201
    return wrong


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
