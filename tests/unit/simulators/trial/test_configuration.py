from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from dyncal.runtime.settings import load
from edge_agent.settings import EdgeSettings
from services.embedded import EmbeddedSettings
from simulators.scenarios.scenario import load_scenario
from simulators.surfaces.addresses import node_id
from simulators.trial.configuration import EDGE, SITE, Ports, choose_ports, configuration, to_toml

PORTS = Ports(broker=20001, opcua=20002, api=20003)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dyncal.toml"
    content = configuration(load_scenario("demo"), PORTS, tmp_path / 'a "strange" place', "warning")
    path.write_text(to_toml(content), encoding="utf-8")
    assert tomllib.loads(path.read_text(encoding="utf-8")) == content
    return path


def test_the_edge_reads_every_channel_with_its_reference_and_its_grid(file: Path) -> None:
    settings = load(EdgeSettings, file)
    assert (settings.site, settings.edge.name, settings.broker.port) == (SITE, EDGE, PORTS.broker)
    sensors = {s.sensor: s for s in settings.edge.all_sensors()}
    nodes = {node.sensor: node for server in settings.edge.opcua for node in server.nodes}
    stations = load_scenario("demo").stations
    assert set(sensors) == {name for s in stations for name in (s.id, s.reference_id)}
    for station in stations:
        declared = sensors[station.id]
        assert (declared.reference, declared.model, declared.unit) == (
            station.reference_id,
            station.model,
            station.unit,
        )
        assert round(declared.dt_s * 1e9) == round(sensors[station.reference_id].dt_s * 1e9) == station.dt_ns
        assert declared.u_reference == station.pairing.u_reference
        if station.surface == "opcua":
            assert nodes[station.id].node == node_id(station.id)
            assert nodes[station.id].array is (station.block > 1)
    assert settings.edge.opcua[0].url == f"opc.tcp://127.0.0.1:{PORTS.opcua}"


def test_the_services_read_the_same_file(file: Path) -> None:
    settings = load(EmbeddedSettings, file)
    assert settings.api.port == PORTS.api
    assert settings.embedded.broker == "own"
    assert str(settings.data_dir).endswith('a "strange" place')


def test_choose_ports_differ_and_the_wish_for_the_page_is_kept() -> None:
    ports = choose_ports(12345)
    assert ports.api == 12345
    assert len({ports.broker, ports.opcua, choose_ports().api}) == 3
