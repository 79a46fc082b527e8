"""Imports that leave out what a library uses if it is there, and we do not."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def without(package: str) -> Iterator[None]:
    """Have a package be absent for what is imported in here; nothing happens if it was imported before.

    ``None`` in `sys.modules` is how Python says that a module is not to be found (The import system, 5.3.1).
    """
    if package in sys.modules:
        yield
        return
    modules: dict[str, Any] = sys.modules
    modules[package] = None
    try:
        yield
    finally:
        del modules[package]
