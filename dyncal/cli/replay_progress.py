"""How far a replay is: a bar where there is a terminal, plain lines where there is none."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from dyncal.domain.time import NS_PER_S, InstantNs, iso
from dyncal.ports.clock import Clock

_EVERY_S: Final = 0.1
_LINE_EVERY_S: Final = 5.0


class Progress:
    """Tells on standard error where a replay is, how fast it goes and how long it will take, as a context manager.

    Parameters
    ----------
    clock : Clock
        Of the machine.
    end_ns : int, optional
        Instant at which the source ends, where that is known.
    quiet : bool
        Say nothing.
    """

    def __init__(self, clock: Clock, end_ns: InstantNs | None, *, quiet: bool) -> None:
        self._clock, self._end_ns, self._quiet = clock, end_ns, quiet
        self._console = Console(stderr=True)
        self._bar: Bar | None = None
        self._task = TaskID(0)
        self._begin_ns: InstantNs | None = None
        self._begun_s = clock.monotonic_s()
        self._told_s = self._begun_s
        self.took_s = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        if not self._quiet and self._console.is_terminal:
            columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
            self._bar = Bar(*columns, console=self._console)
            self._task = self._bar.add_task("", total=None)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self.took_s = self._clock.monotonic_s() - self._begun_s
        if self._bar is not None:
            self._bar.stop()

    def at(self, now: InstantNs, n_samples: int) -> None:
        """Tell, but not too often, that the replay is at an instant."""
        if self._begin_ns is None:
            self._begin_ns = now
        at_s = self._clock.monotonic_s()
        if self._quiet or at_s - self._told_s < (_LINE_EVERY_S if self._bar is None else _EVERY_S):
            return
        self._told_s = at_s
        done_ns, took_s = now - self._begin_ns, max(at_s - self._begun_s, 1e-9)
        rate = done_ns / NS_PER_S / took_s
        text = f"{iso(now)[:19]}  {rate:.1f} x real time  {n_samples / took_s:,.0f} samples/s"
        if self._bar is not None:
            total = None if self._end_ns is None else (self._end_ns - self._begin_ns) / NS_PER_S
            self._bar.update(self._task, completed=done_ns / NS_PER_S, total=total, description=text)
            return
        left = "" if self._end_ns is None or rate <= 0 else f"  {(self._end_ns - now) / NS_PER_S / rate:.0f} s left"
        sys.stderr.write(text + left + "\n")
        sys.stderr.flush()

    def summarise(self, span_ns: int, n_samples: int) -> None:
        """Tell how fast it was."""
        if not self._quiet:
            rate = span_ns / NS_PER_S / max(self.took_s, 1e-9)
            sys.stderr.write(f"{span_ns / NS_PER_S:.1f} s in {self.took_s:.1f} s: {rate:.1f} x real time, ")
            sys.stderr.write(f"{n_samples / max(self.took_s, 1e-9):,.0f} samples/s\n")
