"""Structured logs: an event name and fields, as JSON or for people, on standard error."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from dyncal.runtime.settings import LogSettings

Logger = Any  # structlog's bound loggers are made to be duck-typed


def configure(settings: LogSettings) -> None:
    """Set up structlog and the standard library's logging alike."""
    level = getattr(logging, settings.level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


def logger(name: str) -> Logger:
    """Return a logger that says who speaks."""
    return structlog.get_logger(component=name)
