"""How often the garbage collector of a program that runs for long looks for cycles, and at what."""

from __future__ import annotations

import gc
from typing import Final

NEW_CONTAINERS: Final = 20_000


def collect_seldom() -> None:
    """Look for cycles after some 20 000 new containers instead of 700.

    Records that wait for a disk, a broker or a store are some ten containers each, thousands of them, and have no
    cycles: to visit them all after every seventy records takes a tenth of the processor time of ingest.
    """
    gc.set_threshold(NEW_CONTAINERS, 10, 10)


def keep_what_stands() -> None:
    """Exempt everything that exists from garbage collection, for good.

    Modules, compiled kernels, the address space of an OPC UA server: some 10⁵ objects that live as long as the process.
    Every full collection would visit them all, and hold up samples for 0.2 s to 0.5 s.
    """
    collect_seldom()
    gc.collect()
    gc.freeze()
