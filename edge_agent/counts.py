"""What a sensor's stream counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class StreamCounts:
    """What became of a sensor's samples since the start."""

    n_read: int = 0
    n_duplicate: int = 0
    n_late: int = 0
    n_refused: int = 0
    n_gaps: int = 0
    n_blocks: int = 0
    n_corrected: int = 0
