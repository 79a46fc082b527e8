"""The sample store that the settings ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Final, assert_never

from dyncal.domain.time import NS_PER_S
from dyncal.ports.history import HistoryStore
from dyncal.runtime.settings import StoreSettings

SQLITE_FILE: Final = "samples.sqlite"
_DAY_NS: Final = 86_400 * NS_PER_S


def open_store(settings: StoreSettings, data_dir: Path) -> HistoryStore:
    """Return the store of `settings`; an embedded one lies below `data_dir`, unless `settings.path` says otherwise.

    Raises
    ------
    StoreUnavailable
        If the embedded store's file cannot be opened. A server is not asked before it is needed.
    InvalidSetting
        If a secret cannot be read, or the address is none.
    """
    match settings.kind:
        case "sqlite":
            from dyncal.adapters.sqlite import SqliteSampleStore  # noqa: PLC0415  # only what is used is loaded

            days = settings.retention_days
            return SqliteSampleStore(
                settings.path if settings.path is not None else data_dir / SQLITE_FILE,
                keep_ns=None if days is None else round(days * _DAY_NS),
            )
        case "influx":
            from dyncal.adapters.influx import InfluxSampleStore  # noqa: PLC0415

            return InfluxSampleStore.from_settings(settings)
        case other:
            assert_never(other)
