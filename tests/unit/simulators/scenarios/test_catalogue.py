"""The library of scenarios: wide enough, each as it is called, and the documentation true to it."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from dyncal.cli.app import app
from simulators.scenarios.catalogue import MEANINGS, markdown
from simulators.scenarios.scenario import library, load_scenario

DOCS = Path(__file__).parents[4] / "docs" / "scenarios.md"


def test_the_library_covers_the_plant() -> None:
    scenarios = [load_scenario(name) for name in library()]
    assert len(scenarios) >= 25
    assert [s.name for s in scenarios] == list(library())
    assert all(s.title for s in scenarios)
    assert max(len(s.stations) for s in scenarios) == 1000
    stations = [station for s in scenarios for station in s.stations]
    assert {s.model.value for s in stations} == {"first_order", "second_order", "lead_lag", "rational", "static"}
    assert {s.expect.conclusion for s in stations} >= set(MEANINGS) - {"any"}
    assert {law.kind for s in stations for law in s.drift} == {"ramp", "saturating", "ageing"}
    assert {shape.kind for s in stations for shape in s.measurand.shapes} >= {"profile", "steps", "shocks", "swing"}


def test_seeds_differ_so_that_no_two_scenarios_share_their_noise() -> None:
    seeds = [load_scenario(name).seed for name in library()]
    assert len(set(seeds)) == len(seeds)


def test_the_table_in_the_documentation_is_that_of_the_files() -> None:
    text = DOCS.read_text(encoding="utf-8")
    held = text.partition("<!-- library: begin -->\n")[2].partition("\n<!-- library: end -->")[0]
    assert held == markdown()


def test_the_commands_list_and_show() -> None:
    listed = CliRunner().invoke(app, ["scenarios", "list"])
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.output.splitlines()] == list(library())
    shown = CliRunner().invoke(app, ["scenarios", "show", "gas-bubble"])
    assert shown.exit_code == 0
    assert "drift of f0_hz or damping within 60 s" in shown.output
    missing = CliRunner().invoke(app, ["scenarios", "show", "gas-buble"])
    assert missing.exit_code == 2
    assert "did you mean 'gas-bubble'?" in missing.output
