"""Structured logs: an event name and fields, as JSON or for people, on standard error and nowhere else."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from dyncal.runtime import foreign_logs
from dyncal.runtime.settings import LogSettings

Logger = Any  # structlog's bound loggers are made to be duck-typed


def configure(settings: LogSettings) -> None:
    """Set up structlog and the standard library's logging alike."""
    level = getattr(logging, settings.level.upper())
    shared = _shared_processors()
    rendering = _rendering(settings.format)
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_StandardError,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(foreign_logs.Thinned(max(level, logging.WARNING)))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), foreign_logs.shorten],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


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
