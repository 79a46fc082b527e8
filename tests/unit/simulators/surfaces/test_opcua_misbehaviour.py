"""How a simulated OPC UA server misbehaves: settings that make no sense, and what samples come with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from pydantic import ValidationError

from dyncal.domain.errors import InvalidSetting
from dyncal.domain.time import NS_PER_S, InstantNs, to_datetime
from simulators.scenarios.opcua_settings import OpcuaSpec
from simulators.scenarios.scenario import load_scenario
from simulators.surfaces.opcua_misbehaviour import Manners

T0 = InstantNs(1_700_000_000 * NS_PER_S)
HOUR_NS = 3600 * NS_PER_S


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"status": [{"from_s": 0, "to_s": 1, "code": "BadLuck"}]}, "no such status code"),
        ({"stamps": [{"from_s": 2, "to_s": 1, "kind": "zero"}]}, "must not be before"),
        ({"restarts": [{"from_s": 2, "to_s": 4}, {"from_s": 3, "to_s": 5}]}, "in order of time"),
        ({"queue_size": 0}, "greater than or equal to 1"),
        ({"overflow": "sometimes"}, "'told' or 'silent'"),
    ],
)
def test_what_makes_no_sense_is_refused(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        OpcuaSpec.model_validate(spec)


def test_a_scenario_says_how_its_server_behaves(tmp_path: Path) -> None:
    text = (
        'name = "x"\nseed = 1\n[opcua]\nrestarts = [{ from_s = 1, to_s = 2 }]\nhistory = "kept"\n'
        '[[stations]]\nid = "A"\nunit = "Cel"\nsurface = "opcua"\nmodel = "first_order"\nrate_hz = 10\n'
        "parameters = { gain = 1.0, tau_s = 0.5 }\nmeasurand = { mean = 20.0, rms = 1.0, band_hz = 1.0 }\n"
    )
    file = tmp_path / "x.toml"
    file.write_text(text, encoding="utf-8")
    assert load_scenario(file).opcua.history == "kept"
    file.write_text(text.replace("kept", "burnt"), encoding="utf-8")
    with pytest.raises(InvalidSetting, match=r"x\.toml.*opcua.*history"):
        load_scenario(file)
    assert OpcuaSpec() == load_scenario("demo").opcua


STAMPED = [
    ("local", T0 + 5 * HOUR_NS, T0 + 1),
    ("future", T0 + 5 * HOUR_NS, T0 + 1),
    ("zero", -11_644_473_600 * NS_PER_S, T0 + 1),
    ("absent", None, T0),
    ("both_absent", None, None),
]


@pytest.mark.parametrize(("kind", "source", "server"), STAMPED)
def test_what_a_sample_comes_with(kind: str, source: int | None, server: int | None) -> None:
    span = {"from_s": 1, "to_s": 2}
    stamps = [{**span, "kind": kind, "hours": 5}]
    spec = OpcuaSpec.model_validate({"stamps": stamps, "status": [{**span, "code": "BadSensorFailure"}]})
    manners = Manners(spec, lambda: 0.0)
    now = InstantNs(T0 + 1)
    at = tuple(None if t is None else to_datetime(t) for t in (source, server))
    assert manners.of_sample(T0, 1.5, now) == (ua.StatusCodes.BadSensorFailure, *at)
    assert manners.of_sample(T0, 2.0, now) == (ua.StatusCodes.Good, to_datetime(T0), to_datetime(now))
