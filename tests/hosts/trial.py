"""The main job through a bad network: identification, sets, corrected streams, links cut, and the count of samples."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from dyncal.adapters.ledger import SqliteLedger
from dyncal.alarms.definitions import DEFAULTS
from dyncal.domain.accounts import Account
from dyncal.domain.alarms import AlarmKind
from dyncal.runtime.clocks import SystemClock
from services.ingest.service import LEDGER_FILE
from tests.e2e.rig import Process, until
from tests.hosts.devices import DT_NS
from tests.hosts.plant import Edge, Plant, Trees
from tests.hosts.wire import Link
from tests.outages.counting import Count, compare

Say = Callable[[str], None]

DELAY_S: Final = DEFAULTS[AlarmKind.EDGE_OFFLINE].on_delay_ns / 1e9
START_S: Final = 120.0
SETS_S: Final = 120.0
SETTLE_S: Final = 90.0
STOP_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Form:
    """How long, and what goes wrong.

    Attributes
    ----------
    cuts : tuple of (str, float)
        Hosts that are cut off one after the other, nobody being told, and for how long [s].
    after_s : float
        From the end of each until the next [s].
    early : bool
        Whether the first cut comes before there are sets, so that a set is made while its edge is away.
    skews : tuple of (str, float)
        Edges whose clocks are wrong, and by how much [s].
    """

    keepalive_s: int = 15
    cuts: tuple[tuple[str, float], ...] = (("cut", 40.0), ("cut", 8.0), ("services", 20.0), ("databases", 20.0))
    after_s: float = 15.0
    early: bool = False
    skews: tuple[tuple[str, float], ...] = ()

    @property
    def noticed_s(self) -> float:
        """When an edge that is cut off is an alarm at the latest [s]: MQTT's time, and the alarm's own delay."""
        return 1.5 * self.keepalive_s + DELAY_S + 5.0


SHORT: Final = Form(keepalive_s=5, cuts=(("cut", 20.0),), after_s=0.0, early=True)


@dataclass
class Outcome:
    """What came of it; times in seconds."""

    ready_s: float = 0.0
    sets_s: float = 0.0
    cuts: list[dict[str, Any]] = field(default_factory=list)
    samples: dict[str, dict[str, int]] = field(default_factory=dict)
    gain: dict[str, float] = field(default_factory=dict)
    ledger: dict[str, Any] = field(default_factory=dict)
    carried: int = 0
    lost: int = 0
    faults: list[str] = field(default_factory=list)


class Trial:
    """One run, on a plant that is made here and ended by who made the trial."""

    def __init__(self, directory: Path, form: Form, trees: Trees, say: Say, *, upgrade: bool = False) -> None:
        self._form, self._say, self._upgrade = form, say, upgrade
        seconds = 3 * START_S + SETS_S + sum(s + form.after_s + SETTLE_S for _, s in form.cuts)
        self.plant = Plant(directory, seconds, keepalive_s=form.keepalive_s, trees=trees)
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Do it, and say what came of it; what is not as it must be is in `faults`."""
        plant, outcome = self.plant, self.outcome
        with plant.wire:
            self._links()
            began = time.monotonic()
            self._start()
            outcome.ready_s = round(time.monotonic() - began, 1)
            self._say(f"everything runs after {outcome.ready_s:.1f} s")
            cuts = list(self._form.cuts)
            if self._form.early:
                self._cut(*cuts.pop(0))
            until("every sensor has corrected values", self._all_corrected, SETS_S)
            outcome.sets_s = round(time.monotonic() - began - outcome.ready_s, 1)
            self._say(f"three sets in force {outcome.sets_s:.1f} s after the first sample")
            if self._upgrade:
                self._upgraded()
            for name, seconds in cuts:
                self._cut(name, seconds)
                time.sleep(self._form.after_s)
            self._end()
        outcome.carried, outcome.lost = plant.wire.n_carried, plant.wire.n_lost
        return outcome

    def _links(self) -> None:
        edges = self.plant.edges
        edges["far"].link.delay_s, edges["far"].link.loss = 0.05, 0.01
        edges["narrow"].link.rate_bit_s = 256_000

    def _start(self) -> None:
        plant = self.plant
        plant.start()
        until("calibrate has made its key", lambda: plant.has_key, START_S)
        for name, off_s in self._form.skews:
            plant.skew(name, off_s)
        for edge in plant.edges.values():
            plant.start_agent(edge)
        until("the interface is ready", lambda: (plant.get("/readyz") or {}).get("ready"), START_S)
        for edge in plant.edges.values():
            until(f"{edge.name} reads", lambda e=edge: _reads(e), START_S)  # type: ignore[misc]  # bound now
            edge.host.do(edge.devices.start)

    def _all_corrected(self) -> bool:
        return all(self.plant.rows(edge.sensor, "corrected")[0].size > 0 for edge in self.plant.edges.values())

    def _upgraded(self) -> None:
        """Bring edges up to date while one of them has a backlog, and then the services."""
        plant, link = self.plant, self._link("cut")
        link.up = False
        time.sleep(2 * self._form.keepalive_s)
        plant.upgrade_edges()
        link.up = True
        self._all_up_to_date("the edges were brought up to date")
        plant.upgrade_services()
        self._all_up_to_date("the services were brought up to date")
        until("the interface is ready", lambda: (plant.get("/readyz") or {}).get("ready"), START_S)
        plant.must_live()

    def _all_up_to_date(self, after: str) -> None:
        plant, now_ns = self.plant, SystemClock().now()
        for edge in plant.edges.values():
            for what in ("raw", "corrected"):
                until(
                    f"{what} values of {edge.name} come again after {after}",
                    lambda e=edge, f=what: plant.rows(e.sensor, f)[0].max(initial=0) > now_ns,  # type: ignore[misc]
                    START_S,
                )
        until("everything before is there", lambda: not any(map(self._holes, plant.edges.values())), SETTLE_S)
        self._say(f"all is there again after {after}")

    # Cuts

    def _cut(self, name: str, seconds: float) -> None:
        plant = self.plant
        link = self._link(name)
        told: dict[str, Any] = {"host": name, "seconds": seconds}
        began = time.monotonic()
        link.up = False
        while (left := began + seconds - time.monotonic()) > 0:
            if name in plant.edges and "alarm_s" not in told and self._offline(name):
                told["alarm_s"] = round(time.monotonic() - began, 1)
            time.sleep(min(left, 0.3))
        if name in plant.edges:
            told["others_behind_s"] = {e.name: self._behind_s(e) for e in plant.edges.values() if e.name != name}
        link.up, healed, healed_ns = True, time.monotonic(), SystemClock().now()
        for edge in plant.edges.values():
            until(
                f"{edge.name} is up to date after {name} was cut off",
                lambda e=edge: plant.rows(e.sensor, "raw")[0].max(initial=0) > healed_ns,  # type: ignore[misc]
                SETTLE_S,
            )
        told["live_again_s"] = round(time.monotonic() - healed, 1)
        until("nothing is behind", lambda: all(self._behind_s(e) < 3 for e in plant.edges.values()), SETTLE_S)
        until("everything before is there", lambda: not any(map(self._holes, plant.edges.values())), SETTLE_S)
        told["complete_s"] = round(time.monotonic() - healed, 1)
        until("no alarm of an edge is left", lambda: not any(map(self._offline, plant.edges)), SETTLE_S)
        told["alarm_over_s"] = round(time.monotonic() - healed, 1)
        self._expect("alarm_s" in told or name not in plant.edges or seconds < self._form.noticed_s,
                     f"nobody was told that edge {name} was cut off for {seconds:g} s")  # fmt: skip
        self.outcome.cuts.append(told)
        self._say(f"cut off: {told}")
        plant.must_live()

    def _link(self, name: str) -> Link:
        plant = self.plant
        return plant.edges[name].link if name in plant.edges else plant.links[name]

    def _offline(self, name: str) -> bool:
        page = self.plant.get("/v1/alarms?kind=edge_offline")
        return page is not None and any(item["source"] == name and item["active"] for item in page["items"])

    def _behind_s(self, edge: Edge) -> float:
        newest = self.plant.rows(edge.sensor, "raw")[0].max(initial=0)
        return round(max(0, int(edge.devices.instants[-1]) - int(newest)) / 1e9, 2)

    def _holes(self, edge: Edge) -> int:
        """Return how many samples are missing before the newest that is there."""
        kept = self.plant.rows(edge.sensor, "raw")[0]
        made = edge.devices.instants
        return int(np.count_nonzero(made <= kept.max(initial=0))) - kept.size

    # The end

    def _end(self) -> None:
        plant = self.plant
        for edge in plant.edges.values():
            edge.devices.stop()
        until("the last samples", lambda: all(self._behind_s(e) == 0 for e in plant.edges.values()), SETTLE_S)
        self._stop([edge.agent for edge in plant.edges.values()])
        self._stop(list(plant.programs.values()))
        self._ledger_adds_up()
        for edge in plant.edges.values():
            self._count(edge)

    def _stop(self, processes: list[Process]) -> None:
        for process in processes:
            assert process.popen is not None
            process.popen.terminate()
        for process in processes:
            assert process.popen is not None
            status = process.popen.wait(STOP_S)
            self._expect(status == 0, f"{process.name} ended with {status}: {process.said()}")

    def _ledger_adds_up(self) -> None:
        ledger = SqliteLedger(self.plant.directory / "services" / "var" / LEDGER_FILE)
        try:
            account = sum(ledger.accounts().values(), Account())
        finally:
            ledger.close()
        made = sum(2 * edge.devices.n_sent for edge in self.plant.edges.values())
        self.outcome.ledger = {
            "made": made, "stored": account.samples, "in_gaps": account.lost, "quarantined": account.quarantined,
            "repeated": account.repeated_samples,
        }  # fmt: skip
        self._expect(account.adds_up and account.samples + account.lost == made and not account.quarantined,
                     f"the ledger does not account for {made} samples: {account}")  # fmt: skip

    def _count(self, edge: Edge) -> None:
        devices = edge.devices
        for name in devices.names:
            found: Count = compare(devices.instants, devices.values(name), *self.plant.rows(name, "raw"))
            self.outcome.samples[name] = asdict(found)
            self._expect(found.perfect, f"{name}: {found}")
        t_ns, corrected = self.plant.rows(edge.sensor, "corrected")
        at = (t_ns - devices.t0_ns) // DT_NS
        inside = (at >= 0) & (at < devices.n_sent)
        truth = devices.truth[at[inside]]
        gain = _rms(devices.values(edge.sensor)[at[inside]] - truth) / _rms(corrected[inside] - truth)
        self.outcome.gain[edge.sensor] = round(gain, 2)
        self._expect(gain > 2, f"{edge.sensor}: corrected values are only {gain:.2f} times as near")

    def _expect(self, so: bool, otherwise: str) -> None:
        if not so:
            self._say(f"FAULT: {otherwise}")
            self.outcome.faults.append(otherwise)


def _reads(edge: Edge) -> bool:
    try:
        return any(edge.metric("dyncal_edge_source_up").values())
    except OSError:
        return False


def _rms(x: Any) -> float:
    return float(np.sqrt(np.mean(np.square(x))))
