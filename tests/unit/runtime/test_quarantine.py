from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import pytest

from dyncal.domain.time import InstantNs
from dyncal.runtime.quarantine import Quarantine, Sidecar

NOW: Final = InstantNs(1)


def test_quarantine_is_bounded_and_survives_a_restart(tmp_path: Path) -> None:
    directory = tmp_path / "quarantine"
    for start in (0, 7):
        quarantine = Quarantine(directory, max_files=5, max_bytes=10_000)
        for k in range(start, start + 7):
            quarantine.add("a/topic", f"payload {k}".encode(), "malformed", "detail", NOW)
    assert len(quarantine) == 5
    kept = sorted(directory.glob("*.bin"))
    assert [path.read_bytes() for path in kept] == [f"payload {k}".encode() for k in range(9, 14)]
    assert len(list(directory.glob("*.json"))) == 5
    sidecar = msgspec.json.decode(kept[0].with_suffix(".json").read_bytes(), type=Sidecar)
    assert sidecar == Sidecar("a/topic", "malformed", "detail", 1, 9)
    Quarantine(directory, max_files=100, max_bytes=3 * 150).add("t", b"x" * 100, "r", "d", NOW)
    assert 1 <= len(list(directory.glob("*.bin"))) <= 3


def test_a_huge_payload_is_cut(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, max_files=5, max_bytes=10 << 20)
    quarantine.add("t", bytes(5 << 20), "malformed", "too long", NOW)
    assert next(tmp_path.glob("*.bin")).stat().st_size == 1 << 20


def test_what_a_full_disk_or_a_crash_left_half_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quarantine = Quarantine(tmp_path, max_files=5, max_bytes=10_000)
    quarantine.add("t", b"whole", "r", "d", NOW)
    real = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.suffix == ".bin":
            real(path, content[:1])
            raise OSError(28, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        quarantine.add("t", b"half", "r", "d", NOW)
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / "000000000009.json").write_text("{}")  # killed between the two files
    again = Quarantine(tmp_path, max_files=5, max_bytes=10_000)
    assert len(again) == 1
    assert len(list(tmp_path.iterdir())) == 2
    again.add("t", b"next", "r", "d", NOW)
    assert sorted(path.read_bytes() for path in tmp_path.glob("*.bin")) == [b"next", b"whole"]
