"""Scenarios against the system: a few of the library here; all of them by `dyncal scenarios check`."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from dyncal.cli.app import app
from simulators.scenarios.checking import check, table
from simulators.scenarios.scenario import load_scenario

SHORT = ["frozen-value", "healthy-thermocouple", "reference-lost", "static-gauge", "unexcited-process"]


@pytest.mark.parametrize("name", SHORT)
def test_the_system_concludes_what_a_good_one_does(name: str) -> None:
    verdicts = check(load_scenario(name)).verdicts
    assert all(verdict.ok for verdict in verdicts), table(verdicts)


def test_the_command_prints_a_table_and_says_by_its_status_whether_all_is_as_expected(tmp_path: object) -> None:
    del tmp_path
    right = CliRunner().invoke(app, ["scenarios", "check", "static-gauge"])
    assert right.exit_code == 0, right.output
    assert right.output.splitlines()[0].split() == ["scenario", "sensor", "expected", "concluded", "ok"]
    assert "all as expected" in right.output
    record = json.loads(CliRunner().invoke(app, ["scenarios", "check", "static-gauge", "--json"]).output)
    assert (record["sensor"], record["ok"]) == ("SG-1", True)
