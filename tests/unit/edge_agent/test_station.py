"""What the edge tells of its spool, its broker and its store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.sensors import EdgeId, SensorId, site_id
from dyncal.domain.time import InstantNs
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.quarantine import Quarantine
from edge_agent.aside import Aside
from edge_agent.events import Refuse
from edge_agent.outbox import Outbox
from edge_agent.publisher import Publisher
from edge_agent.spool import Spool
from edge_agent.station import Station

ADDRESS = EdgeAddress(site_id("plant"), EdgeId("edge1"))
A = SensorId("A")


class Scene:
    """A station whose engine, bus and keeper are not asked for anything."""

    def __init__(self, directory: Path) -> None:
        nobody, clock = None, SystemClock()
        self.quarantine = directory / "quarantine"
        self.spool = Spool.open(directory / "spool", ADDRESS.edge, InstantNs(0))
        self.outbox = Outbox(self.spool, replay_per_s=1.0, commit_timeout_s=1.0, rng=np.random.default_rng(1))
        self.publisher = Publisher(nobody, ADDRESS, self.outbox, clock)  # type: ignore[arg-type]  # never run: no bus
        self.aside = Aside(lambda: Quarantine(self.quarantine, max_files=10, max_bytes=1 << 20))
        self.station = Station(
            nobody,  # type: ignore[arg-type]  # an engine, for events, of which there are none
            self.spool,
            self.outbox,
            self.publisher,
            nobody,  # type: ignore[arg-type]  # a keeper, for sets, of which there are none
            self.aside,
            ADDRESS,
            clock,
        )

    def said(self) -> list[tuple[str, str, str]]:
        found = [json.loads(payload) for _, payload in self.publisher._events]
        return [(event["kind"], event.get("sensor", ""), event["detail"]) for event in found]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.spool.close()


def test_all_damage_that_is_found_at_once_is_told(scene: Scene) -> None:
    scene.spool.damage.extend(["one file", "another file"])
    scene.station.perform([])
    assert scene.said() == [("spool_damaged", "", "one file; another file")]
    assert scene.spool.damage == []


def test_what_broker_and_store_do_not_take_is_told_once(scene: Scene) -> None:
    scene.publisher.refused[ADDRESS.samples(A)] = "too large"
    scene.outbox.missed = [A, SensorId("B")]
    scene.station.tell_of_delivery()
    scene.station.tell_of_delivery()
    refused, missed = scene.said()
    assert refused == ("publish_refused", "A", "too large")
    assert missed[:2] == ("not_committed", "")
    assert "2 sensors, such as A after number -1" in missed[2]


def test_samples_that_are_refused_go_into_quarantine_with_their_reason(scene: Scene) -> None:
    raw = np.array([1.5, np.nan])
    scene.station.perform([Refuse(A, np.array([5, 6]), raw, np.zeros(2, np.uint32), "impossible times", InstantNs(9))])
    scene.aside.write()
    (content,) = scene.quarantine.glob("*.bin")
    (sidecar,) = scene.quarantine.glob("*.json")
    assert json.loads(content.read_bytes()) == {"t_ns": [5, 6], "raw": [1.5, None], "quality": [0, 0]}
    assert json.loads(sidecar.read_text())["detail"] == "impossible times"
