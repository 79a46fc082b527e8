"""What a registry promises to those who read and write at once: subclass it beside `RegistryContract`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from dyncal.domain.errors import Conflict, InvalidData
from dyncal.domain.sensors import SensorId
from dyncal.ports.registry import Registry
from dyncal.testing.registry import S2, OpenRegistry, act, make_alarm, make_pairing, make_sensor, put_alarm

N_READS = 60


class ConsistencyContract:
    """The suite; needs the fixtures `open_it` and `registry`."""

    def test_names_are_in_the_order_of_their_characters(self, registry: Registry) -> None:
        names = [SensorId(name) for name in ("b", "A-1", "a.1", "B", "a_1", "A1", "a-1", "a1", "A.1", "Z", "10", "9")]
        sensors = [make_sensor(name) for name in names]
        registry.put_sensors(sensors, [replace(make_pairing(), sensor=name, reference=S2) for name in names], act())
        assert [sensor.id for sensor in registry.sensors()] == sorted(names)
        assert [pairing.sensor for pairing in registry.pairings()] == sorted(names)

    def test_a_trail_that_grows_fits_at_any_time(self, open_it: OpenRegistry) -> None:
        writer, reader = open_it(), open_it()
        with _busily(lambda k: writer.put_sensors([make_sensor(unit=f"u{k}")], [], act(k))):
            assert [reader.verify_audit() for _ in range(N_READS)] == [None] * N_READS

    def test_alarms_and_what_their_engine_knows_are_read_as_of_one_instant(self, open_it: OpenRegistry) -> None:
        writer, reader = open_it(), open_it()
        with _busily(lambda k: put_alarm(writer, make_alarm(k=k), act(k))):
            for _ in range(N_READS):
                state, _revision = reader.load_alarms()
                assert max((alarm.number for alarm in state.alarms), default=0) == state.number

    def test_writers_of_the_same_wait_and_the_later_one_changes_nothing(self, open_it: OpenRegistry) -> None:
        registries = [open_it() for _ in range(4)]
        sensors = [make_sensor(SensorId(f"s{k}")) for k in range(20)]

        def write(k: int) -> bool:
            mine = sensors[:: 1 if k % 2 else -1]  # in opposite orders, which is how two lock each other out
            return registries[k % 4].put_sensors(mine, [], act(k))

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(write, range(16))) == 1
        assert len(registries[0].audit()) == len(sensors)

    def test_of_those_who_replace_what_they_saw_one_succeeds(self, open_it: OpenRegistry) -> None:
        registries = [open_it() for _ in range(4)]

        def write(k: int) -> bool:
            try:
                registries[k].put_snapshot("key", b"%d" % k, None, act(k), "snapshot.put")
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(write, range(4))) == 1
        assert len(registries[0].audit()) == 1

    def test_text_that_not_every_database_can_keep_is_refused_by_all(self, registry: Registry) -> None:
        for reason in ("a\0b", "half a \ud800 character"):
            with pytest.raises(InvalidData, match="text"):
                registry.put_sensors([make_sensor()], [], act(reason=reason))
        assert (registry.sensors(), registry.audit()) == ([], [])


@contextmanager
def _busily(write: Callable[[int], object]) -> Iterator[None]:
    """Have another thread call `write` with 0, 1, 2, … meanwhile."""
    done = threading.Event()

    def run() -> None:
        k = 0
        while not done.is_set():
            write(k)
            k += 1

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            yield
        finally:
            done.set()
            running.result()
