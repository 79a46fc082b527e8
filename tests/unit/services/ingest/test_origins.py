from __future__ import annotations

import pytest

from dyncal.domain.sensors import EdgeId, SensorId
from services.ingest import origins
from services.ingest.origins import Origins

A, B = SensorId("A"), SensorId("B")
ONE, TWO = EdgeId("edge1"), EdgeId("edge2")


def test_edges_that_take_turns_are_told_of_once() -> None:
    watched = Origins()
    assert watched.contested([(A, ONE), (B, ONE), (A, TWO)]) == []
    assert watched.contested([(A, ONE)]) == [(A, ONE, TWO)]
    assert watched.contested([(A, TWO), (A, ONE), (B, ONE)]) == []


def test_a_sensor_that_has_moved_is_of_its_new_edge() -> None:
    watched = Origins()
    assert watched.contested([(A, ONE)] * 3 + [(A, TWO)] * 3) == []


def test_of_too_many_sensors_the_first_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "MAX_SENSORS", 2)
    watched = Origins()
    for k in range(5):
        watched.contested([(SensorId(f"S{k}"), ONE)])
    first = SensorId("S0")
    assert watched.contested([(first, TWO), (first, ONE), (first, TWO)]) == [(first, TWO, ONE)]
    assert len(watched._edges) == 2
