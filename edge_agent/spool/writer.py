"""The newest file of the spool, open for writing: what was not written whole is cut off before anything follows it."""

from __future__ import annotations

import os

from edge_agent.spool import disk
from edge_agent.spool.index import StoredFile


class Writer:
    """Writes to one file at a time."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self._dirty = False
        self._torn = False

    def begin(self, file: StoredFile, content: bytes) -> None:
        """Go over to a new file: written whole under another name first, so that it is there with its head or not.

        Raises
        ------
        OSError
            If the disk does not take it; writing goes on in the file of before then.
        """
        self.sync()
        disk.replace(file.path, content)
        descriptor = os.open(file.path, os.O_WRONLY | os.O_APPEND)
        self.close()
        self._fd = descriptor
        self._torn = self._dirty = False

    def resume(self, file: StoredFile) -> None:
        """Go on in a file of an earlier life, which nobody forced to the disk since. Raises `OSError`."""
        self._fd = os.open(file.path, os.O_WRONLY | os.O_APPEND)
        self._dirty = True

    def write(self, file: StoredFile, content: bytes) -> None:
        """Add to the end of a file, all or nothing. Raises `OSError` if the disk does not take it."""
        if self._fd is None:
            self._fd = os.open(file.path, os.O_WRONLY | os.O_APPEND)
        self._mend(self._fd, file)
        self._torn = True
        view = memoryview(content)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            self._mend(self._fd, file)
            raise
        self._torn = False
        file.size += len(content)
        self._dirty = True

    @property
    def removed(self) -> bool:
        """Whether the file that is written to has no name any more: what it takes is gone with this process."""
        return self._fd is not None and os.fstat(self._fd).st_nlink == 0

    def _mend(self, descriptor: int, file: StoredFile) -> None:
        """Cut off what a write left behind that did not come to its end; what followed it could not be read again."""
        if self._torn:
            os.ftruncate(descriptor, file.size)
            self._torn = False

    def sync(self) -> None:
        """Force what was written to the disk. Raises `OSError`, and tries again when it is called again."""
        if self._dirty and self._fd is not None:
            os.fsync(self._fd)
            self._dirty = False

    def unsynced(self) -> int | None:
        """Return a descriptor for the caller to force to the disk and close, or None if nothing was written since."""
        if not self._dirty or self._fd is None:
            return None
        self._dirty = False
        return os.dup(self._fd)

    def distrust(self) -> None:
        """Take note that the disk did not confirm what was written: it is to be forced again."""
        self._dirty = True

    def close(self) -> None:
        """Let go of the file; idempotent."""
        descriptor, self._fd = self._fd, None
        if descriptor is not None:
            os.close(descriptor)
