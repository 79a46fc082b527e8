from __future__ import annotations

from pathlib import Path

import pytest

from dyncal.contracts.edges import PairingMessage
from dyncal.domain.errors import InvalidSetting
from dyncal.domain.sensors import ModelKind, Pairing, SensorId
from dyncal.models import paired_model
from dyncal.runtime.settings import load
from edge_agent.declared import sensor_messages, stream_configs
from edge_agent.settings import EdgeSettings

NODE = '{ sensor = "O", node = "i=1", unit = "Cel", dt_s = 0.1 }'
EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "first-plant.toml"


@pytest.mark.parametrize(
    ("time", "intervals"),
    [(', time_at = "/t"', 1.5), ("", 2.5), (', time_at = "/t", time_format = "arrival"', 2.5)],
)
def test_one_missing_sample_is_a_gap_unless_only_the_arrival_is_known(
    tmp_path: Path, time: str, intervals: float
) -> None:
    mapping = f'{{ topic = "d/M", sensor = "M", unit = "Cel", dt_s = 0.1{time} }}'
    file = tmp_path / "c.toml"
    file.write_text(f'[[edge.opcua]]\nurl = "opc.tcp://h"\nnodes = [{NODE}]\n[[edge.mqtt]]\nmappings = [{mapping}]\n')
    gaps = {config.sensor.id: config.gap_after_ns for config in stream_configs(load(EdgeSettings, file))}
    assert gaps == {"O": 150_000_000, "M": round(intervals * 1e8)}


def _paired(tmp_path: Path, more: str) -> EdgeSettings:
    node = f'{{ sensor = "O", node = "i=1", unit = "Cel", dt_s = 0.1, reference = "R", {more} }}'
    (tmp_path / "c.toml").write_text(f'[[edge.opcua]]\nurl = "opc.tcp://h"\nnodes = [{node}]\n')
    return load(EdgeSettings, tmp_path / "c.toml")


def test_what_is_said_of_model_and_noise_goes_into_the_birth(tmp_path: Path) -> None:
    more = 'model = "rational", n_poles = 3, n_zeros = 1, dead_time = true, u_reference_noise = 0.02'
    [message] = sensor_messages(stream_configs(_paired(tmp_path, more)))
    assert message.pairing == PairingMessage(
        "R", "rational", u_reference_noise=0.02, dead_time=True, n_poles=3, n_zeros=1
    )


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ('model = "static"', "pairing of O: a static sensor has no dynamics"),
        ('model = "rational"', "pairing of O: a rational model needs n_poles"),
        ('model = "first_order", n_poles = 2', "n_poles and n_zeros go with a rational model only"),
    ],
)
def test_a_model_that_cannot_be_calibrated_at_work_is_refused_with_its_reason(
    tmp_path: Path, more: str, why: str
) -> None:
    with pytest.raises(InvalidSetting, match=why):
        stream_configs(_paired(tmp_path, more))


def test_the_example_of_a_first_plant_loads_and_is_short() -> None:
    configs = {config.sensor.id: config for config in stream_configs(load(EdgeSettings, EXAMPLE))}
    assert list(configs) == ["TT-101", "TT-101R"]
    pairing = configs[SensorId("TT-101")].pairing
    assert pairing is not None
    assert pairing.reference == "TT-101R"
    lines = [line for line in EXAMPLE.read_text().splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) < 20


def test_the_example_of_pairings_says_what_each_key_can_be() -> None:
    configs = stream_configs(load(EdgeSettings, EXAMPLE.with_name("pairings.toml")))
    labels = {str(c.sensor.id): paired_model(c.pairing).label for c in configs if c.pairing is not None}
    delayed = f"{paired_model(Pairing(SensorId('a'), SensorId('b'), ModelKind.FIRST_ORDER)).label} with dead time"
    assert labels["AT-201"] == delayed
    assert labels["PT-301"] == "rational 1/3"
    assert len(labels) == 3
