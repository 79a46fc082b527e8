"""Prometheus' configuration, rules and the dashboard: taken by promtool, tried, and of metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.integration.deployment import environments
from tests.metrics_catalogue import entries

PROMETHEUS = environments.ROOT / "deploy" / "prometheus"
DASHBOARD = environments.ROOT / "deploy" / "grafana" / "dyncal.json"
RUNBOOK = environments.ROOT / "docs" / "runbook.md"
METRIC = re.compile(r"\b((?:dyncal|process)_\w+)(?:\{([^}]*)\})?")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
PROCESS = {"process_cpu_seconds_total", "process_open_fds", "process_max_fds", "process_resident_memory_bytes"}
OF_SCRAPING = {"job", "instance", "edge"}


def promtool(*arguments: str) -> None:
    program = shutil.which("promtool")
    assert program is not None, "promtool is not installed: apt-get install prometheus"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def read(name: str) -> Any:
    return msgspec.yaml.decode((PROMETHEUS / name).read_bytes())


def alerts() -> list[dict[str, Any]]:
    return [rule for group in read("rules.yml")["groups"] for rule in group["rules"]]


def panels() -> Iterator[tuple[str, str]]:
    """Iterate over the titles of panels and what each asks."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def known() -> dict[str, set[str]]:
    """Return the labels of all series that programs have, by name."""
    found = {name: set[str]() for name in PROCESS}
    for entry in entries():
        for suffix in SUFFIXES.get(entry.kind, ("",)):
            found[entry.name + suffix] = {*entry.labels, *(["le"] if suffix == "_bucket" else [])}
    return found


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    text = (PROMETHEUS / "prometheus.yml").read_text()
    (tmp_path / "key").write_text("dyn_x")
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/dyncal-api.key", str(tmp_path / "key")))
    shutil.copy(PROMETHEUS / "rules.yml", tmp_path)
    promtool("check", "config", str(tmp_path / "prometheus.yml"))


def test_each_alert_is_raised_by_what_it_is_for_and_by_nothing_else() -> None:
    promtool("test", "rules", str(PROMETHEUS / "rules_test.yml"))
    tried = (PROMETHEUS / "rules_test.yml").read_text()
    for alert in alerts():
        assert f"  - name: {alert['alert']}\n" in tried
        assert f"alertname: {alert['alert']} }}" in tried, "nor by a plant in which nothing is wrong"


def test_each_alert_says_what_to_do() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"


def test_the_dashboard_asks_what_prometheus_understands(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": expr} for number, (_, expr) in enumerate(panels())]
    file = tmp_path / "panels.yml"
    file.write_bytes(msgspec.yaml.encode({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(file))


@pytest.mark.parametrize(
    ("where", "expression"),
    [*panels(), *((alert["alert"], alert["expr"]) for alert in alerts())],
)
def test_the_metrics_exist(where: str, expression: str) -> None:
    series = known()
    for name, matchers in METRIC.findall(expression):
        assert name in series, f"{where}: no program has {name}"
        labels = set(re.findall(r"(\w+)\s*[=!]~?\s*\"", matchers))
        assert labels <= series[name] | OF_SCRAPING, f"{where}: {name} has no label {labels - series[name]}"


def test_the_series_of_the_tried_rules_exist() -> None:
    series = known()
    for name in METRIC.findall((PROMETHEUS / "rules_test.yml").read_text()):
        assert name[0] in series
