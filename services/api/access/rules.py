"""The role matrix without a service: for documents and tests."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

from dyncal.adapters.registry import open_registry
from dyncal.adapters.stores import open_store
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.settings import RegistrySettings, StoreSettings
from services.api.access.needs import Rule, matrix
from services.api.app import create_app
from services.api.deps import Deps


def every_rule() -> list[Rule]:
    """Return what every route needs, in order of path."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(open_registry(RegistrySettings(), Path(folder))) as registry,
        closing(open_store(StoreSettings(), Path(folder))) as store,
    ):
        return matrix(create_app(Deps.make(registry, store, SystemClock())))
