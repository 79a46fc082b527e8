"""A disk that is full, read-only or broken, or on which the process dies in the midst of a write."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any, Final, Self

_PATCHED: Final = ("open", "write", "fsync", "unlink", "replace", "ftruncate", "truncate", "utime")


class Dead(BaseException):
    """The process was killed."""


class FaultyDisk:
    """Stands between the spool and the disk under a directory.

    Attributes
    ----------
    room : int or None
        Bytes that still fit.
    error : int
        What every change of the disk fails with, or 0.
    dies_after : int or None
        Bytes to write before the process dies in the midst of it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = str(directory)
        self._real = {name: getattr(os, name) for name in _PATCHED}
        self._real_stream = io.open
        self.room: int | None = None
        self.error = 0
        self.dies_after: int | None = None
        self.synced: dict[int, int] = {}

    def __enter__(self) -> Self:
        for name in self._real:
            setattr(os, name, getattr(self, f"_{name}"))
        io.open = self._stream  # pathlib opens files by this name
        return self

    def __exit__(self, *_: object) -> None:
        for name, real in self._real.items():
            setattr(os, name, real)
        io.open = self._real_stream

    def _fail(self) -> None:
        if self.error:
            raise OSError(self.error, os.strerror(self.error))

    def _open(self, path: Any, flags: int, *args: Any, **more: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR) and str(path).startswith(self._directory):
            self._fail()
        return int(self._real["open"](path, flags, *args, **more))

    def _write(self, descriptor: int, content: Any) -> int:
        self._fail()
        n = len(content)
        if self.room is not None:
            if not self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            n = min(n, self.room)
            self.room -= n
        if self.dies_after is not None and n >= self.dies_after:
            self._real["write"](descriptor, bytes(content[: self.dies_after]))
            raise Dead
        return int(self._real["write"](descriptor, content[:n]))

    def _fsync(self, descriptor: int) -> None:
        self._fail()
        self._real["fsync"](descriptor)
        status = os.fstat(descriptor)
        self.synced[status.st_ino] = status.st_size

    def _unlink(self, path: Any, **more: Any) -> None:
        self._fail()
        if self.room is not None:
            self.room += Path(path).stat().st_size
        self._real["unlink"](path, **more)

    def _replace(self, *paths: Any, **more: Any) -> None:
        self._fail()
        self._real["replace"](*paths, **more)

    def _ftruncate(self, *args: Any) -> None:
        self._fail()
        self._real["ftruncate"](*args)

    def _truncate(self, path: Any, size: int) -> None:
        self._fail()
        if self.room is not None:
            self.room += Path(path).stat().st_size - size
        self._real["truncate"](path, size)

    def _utime(self, *args: Any, **more: Any) -> None:
        self._fail()
        self._real["utime"](*args, **more)

    def _stream(self, file: Any, mode: str = "r", *args: Any, **more: Any) -> Any:
        if "w" not in mode or not str(file).startswith(self._directory):
            return self._real_stream(file, mode, *args, **more)
        self._fail()
        stream = self._real_stream(file, mode, *args, **more)
        if self.room is not None and self.room < 4096:  # a new file wants a block
            stream.close()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return stream
