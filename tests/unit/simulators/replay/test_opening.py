"""What can be named as a source: the same samples, whatever they lie in; and words where it is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from dyncal.adapters.registry import open_registry
from dyncal.adapters.stores import open_store
from dyncal.domain.errors import DyncalError, InvalidData, InvalidSetting
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs, duration
from dyncal.ports.records import Act
from dyncal.runtime.settings import RegistrySettings, StoreSettings
from simulators.recordings.simulated import record_scenario
from simulators.replay import Effects, replay
from simulators.replay.opening import Wish, open_source
from simulators.replay.simulated import T0, SimulatedSource, edge_settings
from tests.unit.simulators.replay.scenarios import small

SECONDS = 12.0


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a store and a registry."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def effects(directory: Path) -> Effects:
    """What came of the scenario itself, whose samples are put into the directory."""
    source = SimulatedSource(small(), duration(SECONDS))
    with closing(open_registry(RegistrySettings(), directory)) as registry:
        sensors = [stream.sensor for stream in source.streams]
        pairings = [stream.pairing for stream in source.streams if stream.pairing is not None]
        registry.put_sensors(sensors, pairings, Act("test", T0))
    return replay(source, store=open_store(StoreSettings(), directory)).effects


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_recording_of_arrivals_has_the_effects_of_what_was_recorded(
    tmp_path: Path, effects: Effects, stack: ExitStack, ending: str
) -> None:
    file = tmp_path / f"small.{ending}"
    record_scenario(small(), file, duration(SECONDS), T0)
    again = replay(open_source(str(file), Wish(), stack)).effects
    for kind in ("stored", "corrected", "gaps", "health", "states"):
        assert again.digests[kind] == effects.digests[kind], kind
    assert [(s.id, s.values, s.u) for s in again.sets] == [(s.id, s.values, s.u) for s in effects.sets]


def test_a_data_directory_has_every_sample(directory: Path, effects: Effects, stack: ExitStack) -> None:
    source = open_source(str(directory), Wish(from_ns=T0), stack)
    again = replay(source).effects
    assert again.digests["stored"] == effects.digests["stored"]
    assert {s.sensor for s in again.sets} == {s.sensor for s in effects.sets}
    assert again == replay(open_source(str(directory), Wish(from_ns=T0), stack)).effects


def test_only_some_sensors_and_a_span(directory: Path, effects: Effects, stack: ExitStack) -> None:
    assert effects.complete
    wish = Wish(sensors=("P1",), from_ns=InstantNs(T0 + duration(2.0)), to_ns=InstantNs(T0 + duration(4.0)))
    source = open_source(str(directory), wish, stack)
    assert {stream.sensor.id for stream in source.streams} == {"P1", "P1-ref"}
    n = {SensorId("P1"): 0, SensorId("P1-ref"): 0}
    for block in source.blocks():
        n[block.channel] += block.t_ns.size
    assert set(n.values()) == {200}
    demo = open_source("demo", Wish(sensors=("TC-101",), from_ns=wish.from_ns, to_ns=wish.to_ns), stack)
    arrivals = [block.arrival_ns for block in demo.blocks()]
    assert {stream.sensor.id for stream in demo.streams} == {"TC-101", "TC-101-ref"}
    assert (arrivals[0], arrivals[-1], len(arrivals)) == (wish.from_ns, T0 + duration(3.98), 200)


@pytest.mark.parametrize(
    ("source", "wish", "said"),
    [
        ("no-such-thing", Wish(), "the library holds"),
        ("none.parquet", Wish(), "there is no such file"),
        ("influx:http://127.0.0.1:8086/db", Wish(), "--config"),
        (".", Wish(), "a data directory has a store of samples there"),
        ("demo", Wish(sensors=("X1",)), "there is no sensor X1"),
    ],
)
def test_what_is_no_source_is_told_with_what_to_do(source: str, wish: Wish, said: str, stack: ExitStack) -> None:
    with pytest.raises((InvalidSetting, InvalidData), match=said):
        open_source(source, wish, stack)


def test_a_recording_that_declares_nothing_is_told_where_to_do_so(tmp_path: Path, stack: ExitStack) -> None:
    file = tmp_path / "day.csv"
    file.write_text("t_ns,channel,value\n1767225600000000000,TC-1,20.5\n")
    with pytest.raises(InvalidSetting, match=r"rate_hz, in .*day\.toml"):
        open_source(str(file), Wish(), stack)


def test_a_registry_without_sensors_is_told_as_such(tmp_path: Path, stack: ExitStack) -> None:
    for opened in (open_registry(RegistrySettings(), tmp_path), open_store(StoreSettings(), tmp_path)):
        opened.close()
    with pytest.raises(InvalidSetting, match="no sensors are declared"):
        open_source(str(tmp_path), Wish(from_ns=T0), stack)


def test_a_store_wants_to_know_from_when(directory: Path, effects: Effects, stack: ExitStack) -> None:
    assert effects.complete
    with pytest.raises(DyncalError, match=r"--from; the newest sample is of 2026-01-01T00:00:1"):
        open_source(str(directory), Wish(), stack)


@pytest.mark.parametrize(
    "address", ["influx:127.0.0.1", "influx:http://127.0.0.1:8086", "influx:http://h:1/d?colour=red"]
)
def test_an_address_that_is_none(address: str, stack: ExitStack) -> None:
    with pytest.raises(InvalidSetting, match="expected influx:http"):
        open_source(address, Wish(plant=edge_settings(small())), stack)
