"""How long the parts of calibration's work take, told to who wants to know; the engine itself reads no clock."""

from __future__ import annotations

import contextlib
import enum
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar


class Stage(enum.StrEnum):
    """A part of the work."""

    ALIGN = "align"
    FIT = "fit"
    DRIFT = "drift"
    DESIGN = "design"
    VERIFY = "verify"
    CAUSE = "cause"
    FORECAST = "forecast"


Observer = Callable[[Stage, float], None]

_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextlib.contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Tell `observer` the seconds that each stage takes which this thread goes through meanwhile."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


@contextlib.contextmanager
def stage(which: Stage) -> Iterator[None]:
    """Take what is done meanwhile for a stage; costs nothing where nobody observes, as in a replay."""
    observer = _observer.get()
    if observer is None:
        yield
        return
    begun_s = time.perf_counter()
    try:
        yield
    finally:
        observer(which, time.perf_counter() - begun_s)
