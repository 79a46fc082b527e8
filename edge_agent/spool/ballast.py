"""Room that is kept back on the disk for the moment in which it is full.

A file that the store has in full can only be removed once another has been begun, and that takes room too: without any,
a disk that one file fills would stay full for ever.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

_FILE: Final = "ballast"
LEAST_BYTES: Final = 16 << 10


class Ballast:
    """A file of nothing, given up when its room is needed, and taken back when there is room again."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / _FILE
        self._held = self._path.stat().st_size if self._path.exists() else 0  # by an earlier life

    def hold(self, n_bytes: int) -> None:
        """Keep so many bytes back, if the disk has them; costs nothing while it does."""
        if self._held >= n_bytes:
            return
        try:
            with self._path.open("wb") as stream:
                stream.write(bytes(n_bytes))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError:  # there is no room to keep back: then none is
            self.give_up()
        else:
            self._held = n_bytes

    def give_up(self) -> None:
        """Let the room be used."""
        self._held = 0
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
