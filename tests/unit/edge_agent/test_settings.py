from __future__ import annotations

from pathlib import Path

import pytest

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.settings import load
from edge_agent.settings import EdgeSettings

SMALLEST = """\
site = "plant"
[broker]
host = "broker.example"
[edge]
name = "edge1"
[[edge.opcua]]
url = "opc.tcp://192.0.2.10:4840"
nodes = [
  { sensor = "TT-101", node = "ns=2;s=TT101", unit = "Cel", dt_s = 0.1, reference = "TT-101R", model = "first_order" },
  { sensor = "TT-101R", node = "/Objects/2:Plant/2:R", unit = "Cel", dt_s = 0.1 },
]
"""


def load_text(tmp_path: Path, text: str) -> EdgeSettings:
    file = tmp_path / "dyncal.toml"
    file.write_text(text, encoding="utf-8")
    return load(EdgeSettings, file)


def test_own_server_broker_and_pairing_fit_in_under_twenty_lines(tmp_path: Path) -> None:
    assert len(SMALLEST.splitlines()) < 20
    settings = load_text(tmp_path, SMALLEST)
    assert [s.sensor for s in settings.edge.all_sensors()] == ["TT-101", "TT-101R"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"ns=2;s=TT101"', '"TT101"', ["edge.opcua.0.nodes.0.node", "'TT101'", "node id such as"]),
        ("opc.tcp://", "http://", ["edge.opcua.0.url", "tcp:"]),
        ("dt_s = 0.1 }", "dt_s = -1 }", ["edge.opcua.0.nodes.1.dt_s", "-1", "greater than 0"]),
        ('"first_order"', '"third_order"', ["edge.opcua.0.nodes.0.model", "third_order", "second_order"]),
        (', model = "first_order"', "", ["reference and model go together"]),
        ('sensor = "TT-101R"', 'sensor = "TT-101"', ["TT-101 is declared more than once"]),
        ('name = "edge1"', 'nmae = "edge1"', ["edge.nmae", "unknown key", "'name'"]),
    ],
)
def test_a_fault_names_file_key_value_and_expectation(tmp_path: Path, old: str, new: str, says: list[str]) -> None:
    with pytest.raises(InvalidSetting) as caught:
        load_text(tmp_path, SMALLEST.replace(old, new))
    for part in [str(tmp_path / "dyncal.toml"), *says]:
        assert part in str(caught.value)


@pytest.mark.parametrize("value", ["inf", "1e30"])
@pytest.mark.parametrize("key", ["max_skew_s", "u_clock_s", "correction.max_latency_s"])
def test_a_time_that_64_bits_of_nanoseconds_do_not_hold_is_refused(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"edge\.{key} = .*less than or equal to"):
        load_text(tmp_path, f"[edge]\n{key} = {value}\n")


@pytest.mark.parametrize("key", ["gap_after_s", "silent_after_s"])
def test_so_is_one_of_a_sensor(tmp_path: Path, key: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"edge\.sensors\.0\.{key} = inf.*less than or equal to"):
        load_text(tmp_path, f'[[edge.sensors]]\nsensor = "A"\nunit = "K"\ndt_s = 1\n{key} = inf\n')


def test_a_mapping_must_know_its_sensor(tmp_path: Path) -> None:
    text = '[edge]\n[[edge.mqtt]]\nmappings = [{ topic = "a/b", sensor = "X" }]\n'
    with pytest.raises(InvalidSetting, match="has no unit and dt_s"):
        load_text(tmp_path, text)


@pytest.mark.parametrize("topic", ["a/b+", "#/a", "", "a/#b"])
def test_a_topic_filter_must_be_one(tmp_path: Path, topic: str) -> None:
    text = f'[[edge.mqtt]]\nmappings = [{{ topic = "{topic}", sensor = "X", unit = "m", dt_s = 1 }}]\n'
    with pytest.raises(InvalidSetting, match=r"topic filter|'\+' must fill"):
        load_text(tmp_path, text)
