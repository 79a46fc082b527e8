"""Embedded sample store."""

from dyncal.adapters.sqlite.store import SqliteSampleStore

__all__ = ["SqliteSampleStore"]
