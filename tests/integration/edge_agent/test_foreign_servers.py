"""Connections to servers of other people that are cut; in full by ``python -m tests.cuts``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cuts.servers import KINDS, NODE_OPCUA, OPEN62541, Kind, Missing, installed
from tests.cuts.trial import cut, kill

CUTS_S = (0.0, 1.0, 2.0)


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return available(KINDS[request.param])


def available(kind: Kind) -> Kind:
    try:
        installed(kind)
    except Missing as error:
        pytest.skip(f"{kind.name} cannot be installed here: {error}")
    return kind


@pytest.mark.timeout(300)
async def test_cuts_lose_nothing_while_the_server_holds_it(tmp_path: Path, kind: Kind) -> None:
    outcome = await cut(kind, tmp_path, CUTS_S)
    assert outcome.made > kind.rate_hz * sum(CUTS_S)
    assert outcome.missing == outcome.altered == outcome.extra == outcome.recorded == 0


@pytest.mark.timeout(300)
async def test_what_the_queue_could_not_hold_is_recorded_to_the_sample(tmp_path: Path, kind: Kind) -> None:
    outcome = await cut(kind, tmp_path, (2.5,), queue_size=12)
    assert outcome.missing > 0
    assert outcome.honest, outcome


@pytest.mark.timeout(300)
async def test_what_the_queue_could_not_hold_is_read_from_the_history(tmp_path: Path) -> None:
    outcome = await cut(available(NODE_OPCUA), tmp_path, (2.5,), history=True, queue_size=12)
    assert outcome.missing == outcome.altered == outcome.extra == 0


@pytest.mark.timeout(300)
async def test_an_agent_that_is_killed_goes_on_with_its_subscription(tmp_path: Path) -> None:
    outcome = await kill(available(NODE_OPCUA), tmp_path, (1.0, 0.7))
    assert outcome.made > NODE_OPCUA.rate_hz * 2
    assert outcome.missing == outcome.altered == outcome.extra == outcome.recorded == 0


@pytest.mark.timeout(300)
async def test_a_server_that_does_not_hand_over_has_the_hole_recorded(tmp_path: Path) -> None:
    outcome = await kill(available(OPEN62541), tmp_path, (1.0,))
    assert outcome.honest, outcome
