"""Compile ahead what numba would compile at the first start."""

from __future__ import annotations

import importlib
import os
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import dyncal
from dyncal import kernels

_DEFINES: Final = re.compile(r"^@kernel\(", re.MULTILINE)
_PACKAGES: Final = ("dyncal", "edge_agent")


def modules() -> list[str]:
    """Return the modules that define kernels, those with most source, which take longest, first."""
    root = Path(dyncal.__file__).resolve().parents[1]
    found = [
        (path.stat().st_size, ".".join(path.relative_to(root).with_suffix("").parts))
        for package in _PACKAGES
        for path in (root / package).rglob("*.py")
        if _DEFINES.search(path.read_text(encoding="utf-8"))
    ]
    return [name for _, name in sorted(found, reverse=True)]


def compile_ahead() -> int:
    """Fill numba's cache, a process for each core; return the exit status."""
    if not kernels.HAVE_NUMBA:
        print("numba is not installed: kernels run as plain Python")
        return 0
    started = time.perf_counter()
    names = modules()
    failed = 0
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(_compile, name): name for name in names}
        for number, done in enumerate(as_completed(waiting), 1):
            name = waiting[done]
            try:
                n_compiled = done.result()
            except Exception as error:  # noqa: BLE001 - of one module; the others are still worth compiling
                failed += 1
                print(f"{name}: {error}", file=sys.stderr)
            else:
                print(f"[{number}/{len(names)}] {name}: {n_compiled} compiled")
    print(f"kernels of {len(names)} modules ready in {time.perf_counter() - started:.0f} s")
    return 1 if failed else 0


def _compile(name: str) -> int:
    module = importlib.import_module(name)
    return kernels.warm_up(module.__name__).n_compiled
