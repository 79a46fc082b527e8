"""Structured logs: an event name and fields, as JSON or for people, on standard error and nowhere else."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

from dyncal.runtime import foreign_logs
from dyncal.runtime.lean import without
from dyncal.runtime.settings import LogSettings

with without("rich"):  # 3 MB and a tenth of what an edge takes to start, for tracebacks that are plain here anyway
    import structlog

Logger = Any  # structlog's bound loggers are made to be duck-typed


def configure(settings: LogSettings) -> None:
    """Set up structlog and the standard library's logging alike."""
    shared = _shared_processors()
    rendering = _rendering(settings.format)
    structlog.configure(
        processors=[_threshold, *shared, *rendering],
        logger_factory=_StandardError,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    _threshold.foreign = foreign_logs.Thinned(logging.WARNING)
    handler.addFilter(_threshold.foreign)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), foreign_logs.shorten],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    set_level(settings.level)


def set_level(level: str) -> None:
    """Have no less than this written from now on, also by loggers that are there already."""
    _threshold.least = getattr(logging, level.upper())
    _threshold.foreign.level = max(_threshold.least, logging.WARNING)
    logging.getLogger().setLevel(_threshold.foreign.level)


class _Threshold:
    """Drops what is below the least level; loggers keep it, so that changing it reaches all of them."""

    def __init__(self) -> None:
        self.least: int = logging.INFO
        self.foreign = foreign_logs.Thinned(logging.WARNING)

    def __call__(self, _logger: Any, method: str, event: Any) -> Any:
        if getattr(logging, _LEVELS.get(method, method).upper()) < self.least:
            raise structlog.DropEvent
        return event


_LEVELS: Final = {"exception": "error", "warn": "warning", "fatal": "critical", "log": "info", "msg": "info"}
_threshold: Final = _Threshold()


def logger(name: str) -> Logger:
    """Return a logger that says who speaks."""
    if not structlog.is_configured():  # used as a library: structlog by itself would write to standard output
        structlog.configure(
            processors=[*_shared_processors(), *_rendering("console")],
            logger_factory=_StandardError,
            cache_logger_on_first_use=False,
        )
    return structlog.get_logger(component=name)


def _shared_processors() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _rendering(form: str) -> list[Any]:
    """Return what makes text of an event. Tracebacks are plain: local variables may hold secrets."""
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


class _StandardError:
    """Writes lines to the standard error of the moment, which tests and daemons replace."""

    def __init__(self, *_: Any) -> None:
        pass

    def msg(self, message: str) -> None:
        """Write one line."""
        sys.stderr.write(message + "\n")
        sys.stderr.flush()

    log = debug = info = warn = warning = error = critical = exception = fatal = failure = msg
