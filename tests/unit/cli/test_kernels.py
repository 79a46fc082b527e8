"""Compiling ahead knows every kernel there is."""

from __future__ import annotations

import importlib

from dyncal import kernels
from dyncal.cli.kernels import modules


def test_every_kernel_is_in_a_module_that_is_compiled_ahead() -> None:
    names = modules()
    for name in names:
        importlib.import_module(name)
    assert {one.dispatcher.py_func.__module__ for one in kernels._kernels} <= set(names)
    assert "dyncal.correction.streaming.kernels" in names
    assert len(names) == len(set(names))
