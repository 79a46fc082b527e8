"""Runs a method in a process of its own: a crash, an exit or an endless loop costs it that trial, and nobody else."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.clocks import SystemClock
from simulators.datasets.store import MemberData
from simulators.scoring.records import Answer, answer_of, failed, record_of
from simulators.scoring.worker import pack, size_of, unpack

_WORKER: Final = Path(__file__).with_name("worker.py")
_START_S: Final = 120.0
_SAID: Final = 400


@dataclass(frozen=True, slots=True)
class Method:
    """A method.

    Attributes
    ----------
    name : str
    entry : str
        ``module:function``, or ``file.py:function``.
    python : str
        Interpreter of its environment, which needs numpy.
    path : tuple of str
        Directories before the module search path.
    limit_s : float
        Longest time for one trial.
    """

    name: str
    entry: str
    python: str = sys.executable
    path: tuple[str, ...] = ()
    limit_s: float = 60.0


class Runner:
    """A method at work; starts its process when there is something to do, and again after it has died.

    Raises
    ------
    InvalidSetting
        On the first trial, if the method cannot be loaded: with what its import said.
    """

    def __init__(self, method: Method) -> None:
        self.method = method
        self._clock = SystemClock()
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def answers(self, member: MemberData, most: int | None = None) -> Iterator[Answer]:
        """Yield the answer to each trial, in order; to the first `most` of them."""
        for trial in member.trials[:most]:
            given = self._ask(record_of(member, trial))
            yield given if isinstance(given, Answer) else answer_of(given, member, trial)

    def _ask(self, record: dict[str, Any]) -> dict[str, Any] | Answer:
        process = self._started()
        try:
            _write(process, pack(record), self._clock.monotonic_s() + self.method.limit_s, self._clock)
            return self._frame(process, self.method.limit_s)
        except TimeoutError:
            self._end()
            return failed(f"took longer than {self.method.limit_s:g} s", self.method.limit_s)
        except (OSError, ValueError, EOFError) as error:
            said, status = self._last_said(), self._end()
            how = f"signal {-status}" if status is not None and status < 0 else f"status {status}"
            return failed(f"its process ended with {how}: {said or error}")

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None:
            return self._process
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        try:
            process = subprocess.Popen(  # noqa: S603 - what the user asks for
                [self.method.python, str(_WORKER), self.method.entry, *self.method.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                start_new_session=True,
                env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **os.environ},
            )
        except OSError as error:
            self._said.close()
            raise InvalidSetting(f"{self.method.python}: cannot be started: {error.strerror}") from error
        self._process = process
        try:
            ready = self._frame(process, _START_S)
        except (OSError, ValueError, EOFError) as error:
            said = self._last_said()
            self._end()
            raise InvalidSetting(f"{self.method.entry}: its process did not start: {said or error}") from error
        if "error" in ready:
            self._end()
            raise InvalidSetting(f"{self.method.entry}: {ready['error']}")
        return process

    def _frame(self, process: subprocess.Popen[bytes], limit_s: float) -> dict[str, Any]:
        until_s = self._clock.monotonic_s() + limit_s
        head = self._read(process, 8, until_s)
        return unpack(self._read(process, size_of(head), until_s))

    def _read(self, process: subprocess.Popen[bytes], n: int, until_s: float) -> bytes:
        """Return n bytes. Raises `TimeoutError`, or `EOFError` where there are no more."""
        stream = process.stdout
        if stream is None:
            raise EOFError
        parts: list[bytes] = []
        while n > 0:
            left_s = until_s - self._clock.monotonic_s()
            if left_s <= 0 or not select.select([stream], [], [], left_s)[0]:
                raise TimeoutError
            part = os.read(stream.fileno(), min(n, 1 << 20))
            if not part:
                raise EOFError("it ended")
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def _last_said(self) -> str:
        if self._said is None:
            return ""
        self._said.seek(0, os.SEEK_END)
        self._said.seek(max(self._said.tell() - _SAID, 0))
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _end(self) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
        status = process.poll()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # and what it has started
        process.wait()
        if self._said is not None:
            self._said.close()
        return status


def _write(process: subprocess.Popen[bytes], frame: bytes, until_s: float, clock: SystemClock) -> None:
    """Write a frame, but not for ever to a process that does not read."""
    stream = process.stdin
    if stream is None:
        raise EOFError
    view = memoryview(frame)
    while view:
        left_s = until_s - clock.monotonic_s()
        if left_s <= 0 or not select.select([], [stream], [], left_s)[1]:
            raise TimeoutError
        view = view[os.write(stream.fileno(), view[:4096]) :]
