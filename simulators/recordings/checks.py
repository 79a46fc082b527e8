"""What rows must be: of known channels, at instants that there are, in the order that the recording says."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import check_name
from dyncal.domain.time import EARLIEST, LATEST, InstantNs, iso
from simulators.recordings.blocks import Int32Array, Rows
from simulators.recordings.info import RecordingInfo

MAX_CHANNELS: Final = 100_000
"""Most channels of a recording that does not name them beforehand."""

Place = Callable[[int], str]
"""Says in words where in the file the k-th row of a batch stands."""


def fault(file: Path, where: str, column: str | None, what: str) -> InvalidData:
    """Return the error: file, place, column, and what is wrong and to be done."""
    return InvalidData(f"{file}: {where}{f', column {column}' if column else ''}: {what}")


class Checker:
    """Checks the batches of one recording, one after the other; names new channels where the recording has none.

    Attributes
    ----------
    names : list of str
        Channels met so far or known beforehand; rows carry their positions.
    n_rows : int
        Rows that were found right.
    """

    def __init__(self, file: Path, info: RecordingInfo) -> None:
        self._file, self._info = file, info
        self.names = list(info.channels)
        self._codes = {name: code for code, name in enumerate(self.names)}
        self._last_ns = np.full(len(self.names), -1, np.int64)
        self._last_arrival_ns = -1
        self.n_rows = 0

    def codes(self, found: Sequence[str], indices: Int32Array, place: Place) -> Int32Array:
        """Return the positions in `names` of channels, given as positions in `found`, shape (n,)."""
        table = np.full(max(len(found), 1), -1, np.int32)
        for k in np.unique(indices).tolist():
            table[k] = self._codes.get(found[k], -1)
            if table[k] < 0:
                table[k] = self._new(found[k], place(int(np.flatnonzero(indices == k)[0])))
        if len(self.names) > self._last_ns.size:
            self._last_ns = np.append(self._last_ns, np.full(len(self.names) - self._last_ns.size, -1))
        return np.asarray(table[indices], np.int32)

    def _new(self, name: str, where: str) -> int:
        if self._info.channels:
            near = difflib.get_close_matches(name, self.names, 1)
            known = ", ".join(self.names[:10]) + (", …" if len(self.names) > 10 else "")
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise fault(
                self._file,
                where,
                "channel",
                f"unknown channel {name[:140]!r}; {hint}known are {known}; name it in the recording's metadata",
            )
        try:
            check_name("channel", name)
        except InvalidData as error:
            raise fault(self._file, where, "channel", str(error)) from error
        if len(self.names) >= MAX_CHANNELS:
            raise fault(self._file, where, "channel", f"more than {MAX_CHANNELS} channels: is it the right column?")
        self._codes[name] = len(self.names)
        self.names.append(name)
        return self._codes[name]

    def check(self, rows: Rows, place: Place) -> Rows:
        """Return rows that are right, as they are. Raises `InvalidData` for the first that is not."""
        for column, instants in (("t", rows.t_ns), ("arrival", rows.arrival_ns)):
            if instants is not None:
                self._refuse((instants < EARLIEST) | (instants > LATEST), place, column, "must lie in 1970 to 2255")
        if rows.u_t_ns is not None:
            self._refuse(rows.u_t_ns < 0, place, "u_t_ns", "a standard uncertainty cannot be negative")
        if rows.arrival_ns is not None and len(rows):
            back = np.diff(rows.arrival_ns, prepend=self._last_arrival_ns) < 0
            self._refuse(back, place, "arrival", "goes back: sort the rows by it")
            self._last_arrival_ns = int(rows.arrival_ns[-1])
        if self._info.order == "time":
            self._check_time(rows, place)
        self.n_rows += len(rows)
        return rows

    def finish(self) -> None:
        """Raise `InvalidData` if there were not as many rows as the recording says."""
        wanted = self._info.n_rows
        if wanted is not None and wanted != self.n_rows:
            what = "it was cut short; get it again" if self.n_rows < wanted else "rows were added; correct n_rows"
            raise fault(self._file, "end", None, f"{self.n_rows} rows where its metadata say {wanted}: {what}")

    def _check_time(self, rows: Rows, place: Place) -> None:
        """Channel by channel, time must go on, within the batch and from the batch before."""
        order = np.argsort(rows.codes, kind="stable")
        codes, t_ns = rows.codes[order], rows.t_ns[order]
        before = np.empty_like(t_ns)
        before[1:] = t_ns[:-1]
        first = np.diff(codes, prepend=-1) != 0
        before[first] = self._last_ns[codes[first]]
        wrong = t_ns <= before
        if wrong.any():
            k = int(np.flatnonzero(wrong)[np.argmin(order[wrong])])
            name, now, then = self.names[codes[k]], InstantNs(int(t_ns[k])), InstantNs(int(before[k]))
            again = now == then
            what = f"{name} has {iso(now)} twice" if again else f"{name} goes back from {iso(then)} to {iso(now)}"
            do = "remove one of them" if again else "sort the rows by time"
            raise fault(
                self._file,
                place(int(order[k])),
                "t",
                f'{what}: {do}, or say order = "arrival" in the metadata if the device sent them so',
            )
        last = np.append(first[1:], [True])[: codes.size]
        self._last_ns[codes[last]] = t_ns[last]

    def _refuse(self, wrong: npt.NDArray[np.bool_], place: Place, column: str, what: str) -> None:
        if wrong.any():
            raise fault(self._file, place(int(np.argmax(wrong))), column, what)
