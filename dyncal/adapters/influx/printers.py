"""Which printing of lines is used: the compiled one once it is ready, the plain one until then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from dyncal.adapters.influx import plain
from dyncal.adapters.influx.columns import Columns
from dyncal.adapters.influx.scratch import Scratch

SampleLines = Callable[[bytes, Sequence[bytes], Columns, Sequence[bytes], Scratch], bytes | memoryview]


class Printer:
    """Begins with plain Python, and goes over to kernels when a thread has made them ready; the lines are the same.

    To load what numba has kept takes a second, to compile it anew many: a program that starts again stores its first
    samples meanwhile.
    """

    def __init__(self) -> None:
        self.sample_lines: SampleLines = plain.sample_lines
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self) -> threading.Thread:
        """Begin to make the kernels ready, once; return the thread that does it."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._make_ready, name="influx-kernels", daemon=True)
                self._thread.start()
            return self._thread

    def _make_ready(self) -> None:
        from dyncal.adapters.influx import printing  # noqa: PLC0415  # loads the compiler, which takes its time
        from dyncal.kernels import HAVE_NUMBA, warm_up  # noqa: PLC0415  # the same

        if HAVE_NUMBA and warm_up(printing.__name__).n_kernels:  # none where the compiler is switched off
            self.sample_lines = printing.sample_lines


PRINTER = Printer()
"""One for the process, as the kernels are."""
