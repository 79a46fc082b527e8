"""The one decorator for compiled kernels, and their warm-up.

A kernel is a plain Python function over numpy arrays that numba compiles where it is installed; without numba (a light
edge) the function runs as it stands, or its module offers a vectorised equal. The rules: float64 and int64 arrays in C
order, no allocation inside where it can be helped, fastmath off, the GIL released. A kernel calls kernels of its own
file only: numba's cache does not see a change in another file and would keep a stale result (a test holds this).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import numpy as np

try:
    import numba
except ImportError:  # the light edge
    numba = None

F = TypeVar("F", bound=Callable[..., Any])

HAVE_NUMBA: Final = numba is not None


@dataclass(frozen=True, slots=True)
class _Registered:
    dispatcher: Any
    signatures: tuple[str, ...]


_kernels: list[_Registered] = []


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What a warm-up did: kernels made ready, how many of them had to be compiled anew, and the time it took [s]."""

    n_kernels: int
    n_compiled: int
    seconds: float


def kernel(*signatures: str, inline: bool = False) -> Callable[[F], F]:
    """Compile the decorated function for exactly `signatures`, numba's type strings such as ``"f8(f8[::1], i8)"``.

    Compilation waits for the first call or for `warm_up`, and is kept in numba's cache beside the source. With
    `inline`, and no signature, the function is a helper of kernels in the same file.
    """

    def decorate(function: F) -> F:
        if numba is None or numba.config.DISABLE_JIT:
            # compiled arithmetic is IEEE 754 without warnings, and so is this
            return function if inline else np.errstate(all="ignore")(function)
        options: dict[str, Any] = {"nogil": True, "fastmath": False, "error_model": "numpy"}
        if inline:
            return cast(F, numba.njit(inline="always", **options)(function))
        dispatcher = numba.njit(cache=True, **options)(function)
        _kernels.append(_Registered(dispatcher, signatures))
        return cast(F, dispatcher)

    return decorate


def warm_up(module: str | None = None) -> WarmUp:
    """Make every kernel of the modules imported so far ready, from the cache where it holds them; idempotent.

    With `module`, those of this module alone.
    """
    started = time.perf_counter()
    chosen = [one for one in _kernels if module is None or one.dispatcher.py_func.__module__ == module]
    compiled = 0
    for registered in chosen:
        dispatcher = registered.dispatcher
        for signature in registered.signatures:
            dispatcher.compile(signature)
        compiled += sum(dispatcher.stats.cache_misses.values())
    return WarmUp(len(chosen), compiled, time.perf_counter() - started)
