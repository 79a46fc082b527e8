"""Alembic's entry: run in the transaction of the connection that `upgrade` gives."""

from __future__ import annotations

import importlib
import pkgutil

from alembic import context

from dyncal.adapters import registry
from dyncal.adapters.registry.schema import metadata

for _found in pkgutil.iter_modules(registry.__path__):
    if _found.name.endswith("_tables"):  # they declare theirs in the same metadata
        importlib.import_module(f"{registry.__name__}.{_found.name}")

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    render_as_batch=True,  # SQLite changes a table by making it anew
)
with context.begin_transaction():
    context.run_migrations()
