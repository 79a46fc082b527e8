"""The edge's reader against servers that misbehave: every loss is recorded, or docs/delivery.md says that it cannot be.

All cases: ``python -m tests.integration.edge_agent.misbehaving``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dyncal.domain import quality
from dyncal.runtime import warming
from simulators.surfaces.opcua_server import NOT_MEANT
from tests.integration.edge_agent.misbehaving import AMID, CASES, SENSOR, faults, outcome


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the edge not look for cycles when it begins: among what tests leave that takes a second."""
    monkeypatch.setattr(warming, "keep_what_stands", lambda: None)


SHORT = [
    "drops, says so, refuses its history",
    "drops in silence, remembers",
    "zero, then of the future",
    "restarts, reorders",
    "mute, drops in silence",
]


@pytest.mark.parametrize("name", SHORT)
async def test_what_is_missing_is_recorded_with_its_cause(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    found = await outcome(tmp_path, case.seconds, **case.how)
    assert faults(case, found) == []
    assert found.changed == set()
    assert NOT_MEANT not in {value for value, _ in found.got.values()}


async def test_status_codes_come_with_their_values_and_the_servers_time_stands_in(tmp_path: Path) -> None:
    case = CASES["bad, uncertain, no source time"]
    found = await outcome(tmp_path, case.seconds, **case.how)
    assert faults(case, found) == []
    assert {code for _, code in found.got.values()} == {0, 0x808C_0000, 0x4090_0000}
    assert all(found.got[t][1] & quality.BAD for t in found.changed)


async def test_an_address_by_index_reads_another_plant_after_namespaces_were_reordered(tmp_path: Path) -> None:
    """Nothing says so: docs/delivery.md has what to write instead."""
    found = await outcome(
        tmp_path, 2.5, f"ns=2;s={SENSOR}", awaited=NOT_MEANT, restarts=[AMID], reorders_namespaces=True
    )
    assert NOT_MEANT in {value for value, _ in found.got.values()}
