"""Numbers reserved ahead, on the disk before any of them is used, as databases do it with their sequences.

A loss of power takes what was written since the last sync, though the store may have it: those numbers must not be
given out a second time. The marks say up to which numbers records can have left; after such a start numbering goes on
above them. Whether the machine itself went down is told by the kernel's boot id: the death of the process alone loses
nothing of what was written, and costs no numbers. Only where records were sent that the disk did not take does it count
as a loss of power too; what the disk cannot be told of that is told by its silence (`stale`).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from dyncal.domain.sensors import SensorId
from edge_agent.events import StreamStart
from edge_agent.spool import disk

STRIDE: Final = 1 << 20
"""Numbers reserved at a time. A quarter is always left: hours at ten records a second, should the disk take no more."""

_FILE: Final = "numbers"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class _Content(msgspec.Struct, frozen=True):
    epoch: int
    boot: str
    upto: dict[str, int]


class Marks:
    """The first number of each sensor that is not reserved.

    Parameters
    ----------
    directory : Path
        That of the spool.
    epoch : int
        Identity of the spool; marks of another one are not looked at.
    """

    def __init__(self, directory: Path, epoch: int) -> None:
        self._path = directory / _FILE
        self._epoch = epoch
        self._now = _boot_id()
        self._boot = self._now
        self._upto: dict[SensorId, int] = {}
        self.damage = ""

    def skipped(
        self, starts: Mapping[SensorId, StreamStart], *, fresh: bool, stale: bool = False
    ) -> dict[SensorId, int]:
        """Read the file; return where to number on, for sensors some of whose records may have been lost.

        `fresh` says that the spool has just begun, `stale` that nothing was written for longer than records wait for
        the disk before they are sent without it. Raises `OSError` if the file cannot be read.
        """
        try:
            content = _decode(self._path.read_bytes())
        except FileNotFoundError:  # nothing was published yet, or not since the spool has marks
            return {}
        if content is None:
            self.damage = f"{self._path.name} is unreadable; numbering goes on {4 * STRIDE} higher"
            self._boot = ""
            return {} if fresh else {sensor: start.next_sequence + 4 * STRIDE for sensor, start in starts.items()}
        if content.epoch != self._epoch:
            return {}
        self._upto = {SensorId(name): upto for name, upto in content.upto.items()}
        if content.boot and content.boot == self._now and not stale:
            return {}
        self._boot = content.boot if content.boot != self._now else ""
        return {s: upto for s, upto in self._upto.items() if upto > starts.get(s, StreamStart()).next_sequence}

    def reserve(self, sensors: Iterable[SensorId], used: Mapping[SensorId, int]) -> None:
        """See to it that numbers up to those `used`, and more, are reserved; `sensors` are taken along.

        Raises
        ------
        OSError
            If the disk does not take it, and those used are not reserved yet.
        """
        upto = dict(self._upto)
        for sensor in {*sensors, *used}:
            wanted = used.get(sensor, -1) + 1
            if upto.get(sensor, 0) < wanted + STRIDE // 2:
                upto[sensor] = wanted + STRIDE
        try:
            self._write(self._boot, upto)
        except OSError:
            if not all(self.covers(sensor, last) for sensor, last in used.items()):
                raise

    def covers(self, sensor: SensorId, number: int, *, ahead: bool = False) -> bool:
        """Tell whether a number is reserved; `ahead`: with a quarter of a stride more."""
        return number + (STRIDE // 4 if ahead else 0) < self._upto.get(sensor, 0)

    def unsettle(self) -> None:
        """Have the next life number on above what is reserved, however this one ends. Raises `OSError`."""
        if self.settled:
            self._write("", self._upto)

    @property
    def settled(self) -> bool:
        """True if the numbers that an earlier life may have used are accounted for on the disk."""
        return self._boot == self._now

    def settle(self) -> None:
        """Take note that they are. Raises `OSError`."""
        if not self.settled:
            self._write(self._now, self._upto)

    def release(self, starts: Mapping[SensorId, StreamStart]) -> None:
        """Give back what was not used: everything written is on the disk. Raises `OSError`."""
        self._write(self._boot, {sensor: start.next_sequence for sensor, start in starts.items()})

    def _write(self, boot: str, upto: dict[SensorId, int]) -> None:
        body = msgspec.json.encode(_Content(self._epoch, boot, {str(s): n for s, n in sorted(upto.items())}))
        disk.replace(self._path, b"%08x " % zlib.crc32(body) + body)
        self._boot, self._upto = boot, upto


def _boot_id() -> str:
    """Return what tells this run of the machine from others; '' where nothing does."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _decode(raw: bytes) -> _Content | None:
    try:
        if len(raw) < 9 or int(raw[:8], 16) != zlib.crc32(raw[9:]):
            return None
        return msgspec.json.decode(raw[9:], type=_Content)
    except (ValueError, msgspec.MsgspecError):
        return None
