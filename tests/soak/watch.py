"""Memory, file handles and processor time of processes, read from /proc now and again."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGESIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PART: Final = 5


@dataclass(slots=True)
class Seen:
    """What was seen of one process: resident memory [bytes], open handles, threads, processor time [s]."""

    memory: list[int] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def look(self, pid: int) -> None:
        """Read it once."""
        place = Path(f"/proc/{pid}")
        words = (place / "stat").read_text().rpartition(")")[2].split()
        self.memory.append(int(words[21]) * _PAGE)
        self.cpu_s.append((int(words[11]) + int(words[12])) / _TICKS)
        self.threads.append(int(words[17]))
        self.handles.append(len(list((place / "fd").iterdir())))


class Watch:
    """Looks at processes by name."""

    def __init__(self) -> None:
        self.seen: dict[str, Seen] = {}
        self.at_s: list[float] = []

    def look(self, pids: Mapping[str, int], now_s: float) -> None:
        """Look at all; one that has ended is not seen any more."""
        self.at_s.append(now_s)
        for name, pid in pids.items():
            try:
                self.seen.setdefault(name, Seen()).look(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue


def growth(figures: list[int]) -> float:
    """Return the median of the last fifth over that of the middle one: 1 where nothing grows; NaN without figures."""
    n = len(figures) // _PART
    if not n:
        return float("nan")
    return statistics.median(figures[-n:]) / statistics.median(figures[2 * n : 3 * n])
