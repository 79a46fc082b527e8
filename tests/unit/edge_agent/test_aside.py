from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dyncal.domain.time import InstantNs
from dyncal.runtime.quarantine import Quarantine, Sidecar
from edge_agent.aside import MAX_BYTES, MAX_WAITING, Aside, Unreadable
from tests.unit.edge_agent.helpers import T0


def unreadable(k: int, payload: bytes | None = None) -> Unreadable:
    return Unreadable(
        "devices/tt", f"message {k}".encode() if payload is None else payload, "no JSON", InstantNs(T0 + k)
    )


def aside_in(directory: Path) -> Aside:
    return Aside(lambda: Quarantine(directory, max_files=1000, max_bytes=64 << 20))


def kept(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(directory.glob("*.bin"))]


def test_messages_are_kept_with_their_reason(tmp_path: Path) -> None:
    aside = aside_in(tmp_path)
    assert not aside
    aside.write()
    assert not list(tmp_path.iterdir())
    aside.add(unreadable(1))
    assert aside
    aside.write()
    assert not aside
    assert kept(tmp_path) == [b"message 1"]
    beside = msgspec.json.decode(next(tmp_path.glob("*.json")).read_bytes(), type=Sidecar)
    assert beside == Sidecar("devices/tt", "malformed", "no JSON", T0 + 1, 9)


def test_a_flood_leaves_the_newest(tmp_path: Path) -> None:
    aside = aside_in(tmp_path)
    for k in range(MAX_WAITING + 7):
        aside.add(unreadable(k))
    aside.write()
    assert kept(tmp_path) == [f"message {k}".encode() for k in range(7, MAX_WAITING + 7)]


def test_large_messages_are_bounded_by_their_bytes(tmp_path: Path) -> None:
    aside = aside_in(tmp_path)
    large = bytes(MAX_BYTES // 4)
    for k in range(10):
        aside.add(unreadable(k, large))
    aside.add(unreadable(10, bytes(2 * MAX_BYTES)))
    aside.add(unreadable(11))
    aside.write()
    assert kept(tmp_path) == [b"message 11"]


def test_a_full_disk_costs_one_message_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aside = aside_in(tmp_path)
    aside.add(unreadable(1))
    aside.add(unreadable(2))

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        aside.write()
    monkeypatch.undo()
    aside.write()
    assert kept(tmp_path) == [b"message 2"]


def test_two_threads_write_each_message_once(tmp_path: Path) -> None:
    aside = aside_in(tmp_path)
    for k in range(MAX_WAITING):
        aside.add(unreadable(k))
    threads = [threading.Thread(target=aside.write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(kept(tmp_path)) == sorted(f"message {k}".encode() for k in range(MAX_WAITING))
