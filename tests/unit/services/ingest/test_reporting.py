from __future__ import annotations

import pytest

from dyncal.contracts import ledgers
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.accounts import Account
from dyncal.domain.sensors import EdgeId, SensorId, SiteId
from dyncal.domain.time import InstantNs
from services.ingest import reporting
from services.ingest.reporting import LedgerReporter

NOW = InstantNs(1_700_000_000_000_000_000)
ONE, TWO = (EdgeAddress(SiteId("works"), EdgeId(name)) for name in ("one", "two"))
SENSOR = SensorId("tc-1")


def account(n: int) -> Account:
    return Account(numbers=n, blocks=n, samples=10 * n)


def test_what_has_changed_is_said_once() -> None:
    reporter = LedgerReporter()
    reporter.heard_of(ONE)
    accounts = {(ONE.edge, SENSOR): account(3), (TWO.edge, SENSOR): account(4)}
    [(address, payload)] = reporter.due(accounts, NOW)
    assert address == ONE
    assert ledgers.decode(payload) == (NOW, {SENSOR: account(3)})
    assert reporter.due(accounts, NOW) == []
    reporter.heard_of(TWO)
    assert [address for address, _ in reporter.due(accounts, NOW)] == [TWO]
    assert [address for address, _ in reporter.due(accounts | {(ONE.edge, SENSOR): account(5)}, NOW)] == [ONE]


def test_what_did_not_get_through_is_said_again() -> None:
    reporter = LedgerReporter()
    reporter.heard_of(ONE)
    accounts = {(ONE.edge, SENSOR): account(3)}
    first = reporter.due(accounts, NOW)
    reporter.failed(ONE)
    assert reporter.due(accounts, NOW) == first


def test_of_too_many_edges_the_first_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "MAX_EDGES", 1)
    reporter = LedgerReporter()
    reporter.heard_of(ONE)
    reporter.heard_of(TWO)
    accounts = {(ONE.edge, SENSOR): account(3), (TWO.edge, SENSOR): account(4)}
    assert [address for address, _ in reporter.due(accounts, NOW)] == [TWO]
