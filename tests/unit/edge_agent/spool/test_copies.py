"""Why a spool is not to be restored from a copy (ADR 0058): it would use numbers again that the store has."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.unit.edge_agent.helpers import SENSOR
from tests.unit.edge_agent.spool.helpers import block, opened, put, sequences


def test_a_spool_that_comes_back_from_a_copy_loses_what_it_is_given_next(tmp_path: Path) -> None:
    spool = opened(tmp_path / "spool")
    put(spool, *(block(k) for k in range(10)))
    spool.close()
    shutil.copytree(tmp_path / "spool", tmp_path / "copy")
    spool = opened(tmp_path / "spool")
    put(spool, *(block(k) for k in range(10, 20)))
    spool.close()  # all of it is stored: the ledger says 19

    restored = opened(tmp_path / "copy")
    put(restored, *(block(k) for k in range(10, 15)))  # new samples under old numbers
    restored.commit({SENSOR: 19})
    assert sequences(restored) == []
    restored.close()


def test_a_new_spool_begins_an_epoch_of_its_own_and_loses_nothing(tmp_path: Path) -> None:
    spool = opened(tmp_path / "new")
    put(spool, *(block(k) for k in range(5)))
    assert sequences(spool) == [0, 1, 2, 3, 4]  # what ingest knows of the old epoch does not concern it
    spool.close()
