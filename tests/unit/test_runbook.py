"""The runbook has a heading for every alarm that can be raised, says the same of each, and names what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dyncal.cli import app
from dyncal.domain.alarms import AlarmKind
from tests import metrics_catalogue

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\S+)\n\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
PARTS = ("Means", "Causes", "Check", "Do", "Escalate")


def alerts() -> list[str]:
    """Return the alerts of Prometheus' rules that are shipped."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "deploy").rglob("*.y*ml")]
    return [name for text in texts for name in re.findall(r"^\s*-?\s*alert:\s*(\w+)", text, re.MULTILINE)]


def test_every_alarm_has_its_heading_and_no_other_is_there() -> None:
    of_prometheus = {heading for heading in SECTIONS if heading.startswith("dyncal")}
    assert set(SECTIONS) - of_prometheus == set(AlarmKind)
    if rules := alerts():
        assert of_prometheus == {rule.lower() for rule in rules}


@pytest.mark.parametrize("heading", SECTIONS)
def test_each_says_what_it_means_and_what_to_do(heading: str) -> None:
    said = re.findall(r"^\*\*(\w+)(?:\.\*\*|\*\* )", SECTIONS[heading], re.MULTILINE)
    assert tuple(said) == PARTS


def test_metrics_that_are_named_exist() -> None:
    known = {entry.name for entry in metrics_catalogue.entries()}
    named = set(re.findall(r"dyncal_[a-z_]+", TEXT))
    assert {name for name in named if not any(each.startswith(name) for each in known)} == set()


def test_commands_that_are_named_exist() -> None:
    named = set(re.findall(r"`dyncal ([a-z-]+(?: [a-z|-]+)?)", TEXT))
    for words in sorted(named):
        first, _, rest = words.partition(" ")
        for second in rest.split("|") if rest and not rest.startswith("-") else [""]:
            answer = CliRunner().invoke(app, [first, *([second] if second else []), "--help"])
            assert answer.exit_code == 0, (first, second)


def test_addresses_that_are_named_exist() -> None:
    document = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    known = {re.sub(r"\{[^}]*\}", "*", path) for path in document["paths"]}
    named = {re.sub(r"\$[A-Z]+", "*", path) for path in re.findall(r"(?:\$URL|GET |PUT )(/v1/[^`\"? ]*)", TEXT)}
    assert len(named) > 5
    assert named <= known


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target
