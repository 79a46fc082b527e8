"""A lock on a directory or file that one process at a time may use; the kernel frees it when the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from dyncal.domain.errors import Unavailable


class Exclusive:
    """Holds a lock from its making to `close`.

    Parameters
    ----------
    path : Path
        The file that carries the lock, made if absent; nothing is written to it.
    holder : str
        Who else may hold it, for the text of the error.

    Raises
    ------
    Unavailable
        If it is held already, by another process or by this one.
    OSError
        If the file cannot be made.
    """

    def __init__(self, path: Path, holder: str) -> None:
        self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise Unavailable(f"{path.parent} is in use: {holder} runs on it") from error
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Let go; idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
