"""What libraries log: their exceptions in one line, and nothing over and over.

A library's traceback says nothing to who runs a plant, and the locals in it may hold secrets. Where our own code is in
the traceback (a callback that failed, a task that nobody waited for) it is our error, and stays whole.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from types import TracebackType
from typing import Any, Final

REPEAT_S: Final = 60.0
"""A message that comes again within this time of the last one that was let through is only counted [s]."""

MAX_TEXT: Final = 500
_MAX_KNOWN: Final = 256
_MAX_INNER: Final = 3
_OURS: Final = frozenset({"dyncal", "edge_agent", "services", "simulators"})


def is_ours(error: BaseException) -> bool:
    """Tell whether code of this project is in the error's traceback, or in that of one that it wraps or came of."""
    return any(
        str(frame.tb_frame.f_globals.get("__name__", "")).partition(".")[0] in _OURS
        for inner in _chain(error)
        for frame in _frames(inner.__traceback__)
    )


def in_one_line(error: BaseException) -> str:
    """Return type and text of an error; of a group, those of what is in it."""
    if isinstance(error, BaseExceptionGroup):
        inner = [in_one_line(each) for each in error.exceptions[:_MAX_INNER]]
        return _flat(f"{type(error).__name__}: {error.message}: {'; '.join(inner)}")
    text = str(error)
    return _flat(f"{type(error).__name__}: {text}" if text else type(error).__name__)


class Thinned(logging.Filter):
    """Lets a message of a logger through once in `REPEAT_S`; the next one says in `n_alike` how many were not shown.

    Messages are known by their text before arguments are filled in. Bounded: what was said longest ago is forgotten.
    """

    def __init__(self, level: int) -> None:
        super().__init__()
        self.level = level
        self._said: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to show a record."""
        if record.levelno < self.level or (self.level > logging.WARNING and _is_foreign_failure(record)):
            return False
        key = (record.name, str(record.msg)[:MAX_TEXT])
        with self._lock:
            said_s, n_alike = self._said.pop(key, (float("-inf"), 0))
            show = not 0 <= record.created - said_s < REPEAT_S
            self._said[key] = (record.created, 0) if show else (said_s, n_alike + 1)
            if len(self._said) > _MAX_KNOWN:
                self._said.popitem(last=False)
        if show and n_alike:
            record.n_alike = n_alike
        return show


def shorten(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Name the logger, and put a library's exception into one line at warning; a processor for structlog."""
    record: logging.LogRecord = event["_record"]
    event["component"] = record.name
    event["event"] = _flat(str(event["event"]))
    event.pop("stack_info", None)
    if _is_foreign_failure(record):
        event.pop("exc_info", None)
        event["level"] = "warning"
        event["error"] = in_one_line(record.exc_info[1])  # type: ignore[index, arg-type]
    return event


def _is_foreign_failure(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return error is not None and not is_ours(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [cause for cause in (each.__cause__, each.__context__) if cause is not None]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _flat(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
