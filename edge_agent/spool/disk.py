"""Files and their names on the disk, and its clock."""

from __future__ import annotations

import contextlib
import errno
import math
import os
from pathlib import Path
from typing import Final

NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
"""What a disk says that is full."""

_PASSING: Final = (*NO_ROOM, errno.EROFS, errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE)


def may_pass(error: OSError) -> bool:
    """Tell whether it is the disk that fails, which somebody can mend, and not a setting that is wrong."""
    return error.errno in _PASSING


def sync_directory(directory: Path) -> None:
    """Force names of new files to the disk. Raises `OSError`."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes, *, sync_name: bool = True) -> None:
    """Put a file in place of another as a whole: after a death at any instant one or the other is there.

    Without `sync_name` a loss of power may bring the old one back, until the caller calls `sync_directory`.

    Raises
    ------
    OSError
        If the disk does not take it; the old file is there then.
    """
    draft = path.with_name(f"{path.name}.new")
    try:
        with draft.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        with contextlib.suppress(OSError):  # on a full disk it would take the last of the room
            draft.unlink(missing_ok=True)
        raise
    draft.replace(path)
    if sync_name:
        sync_directory(path.parent)


def age_s(path: Path, clock: Path) -> float:
    """Return how long ago a file was written to [s]; infinite where its time is after now.

    Both times are the file system's own: `clock` is a file beside it that is touched.

    Raises
    ------
    OSError
        If one is not there, or nothing can be written.
    """
    os.utime(clock)
    age = clock.stat().st_mtime - path.stat().st_mtime
    return age if age >= 0 else math.inf
