"""The one decorator for compiled kernels, and their warm-up.

A kernel is a plain Python function over numpy arrays that numba compiles where it is installed; without numba (a light
edge) the function runs as it stands, or its module offers a vectorised equal. The rules: float64 and int64 arrays in C
order, no allocation inside where it can be helped, fastmath off, the GIL released.

numba's cache sees a change of the file that a kernel stands in, and of no other. So the name under which a kernel is
kept carries a digest of all files whose kernels its own file imports, and of the constants there are (ADR 0004).

numba looks beside the source only where it may write there. A service that runs as a user of its own may not; so what
was compiled there when dyncal was installed is copied to where numba looks for that user.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np

try:
    import numba
except ImportError:  # the light edge
    numba = None

F = TypeVar("F", bound=Callable[..., Any])

HAVE_NUMBA: Final = numba is not None

_CAN_LEAVE_COUNTING: Final = HAVE_NUMBA and hasattr(numba.core.options.DefaultOptions, "_nrt")  # it is not documented


@dataclass(frozen=True, slots=True)
class _Registered:
    dispatcher: Any
    signatures: tuple[str, ...]


_kernels: list[_Registered] = []
_brought: set[tuple[Path, Path]] = set()
_home: dict[int, str] = {}  # of a kernel by its id: they live as long as the process
_done: list[WarmUp] = []  # the last warm-up of all, if there was one


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What a warm-up did: kernels made ready, how many of them had to be compiled anew, and the time it took [s]."""

    n_kernels: int
    n_compiled: int
    seconds: float


def kernel(*signatures: str, inline: bool = False, counted: bool = True) -> Callable[[F], F]:
    """Compile the decorated function for exactly `signatures`, numba's type strings such as ``"f8(f8[::1], i8)"``.

    Compilation waits for the first call or for `warm_up`, and is kept in numba's cache beside the source. With
    `inline`, and no signature, the function is a helper of kernels in the same file. A kernel that neither makes arrays
    nor views of them need not have its references `counted`: helpers that are given arrays cost a count each.
    """

    def decorate(function: F) -> F:
        if numba is None or numba.config.DISABLE_JIT:
            # compiled arithmetic is IEEE 754 without warnings, and so is this
            return function if inline else np.errstate(all="ignore")(function)
        options: dict[str, Any] = {"nogil": True, "fastmath": False, "error_model": "numpy"}
        if not counted and _CAN_LEAVE_COUNTING:
            options["_nrt"] = False
        if inline:
            helper = numba.njit(inline="always", **options)(function)
            _home[id(helper)] = function.__module__
            return cast(F, helper)
        name = function.__qualname__
        function.__qualname__ = f"{name}-{_digest(function.__module__)}"  # where numba takes the file's name from
        dispatcher = _kept(function, options)
        function.__qualname__ = name
        _kernels.append(_Registered(dispatcher, signatures))
        _home[id(dispatcher)] = function.__module__
        return cast(F, dispatcher)

    return decorate


def _kept(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Return the dispatcher of a function whose compiled form is kept, where there is a place for it."""
    try:
        dispatcher = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the source's directory nor the user's own can be written: it works, but compiles
        return numba.njit(**options)(function)
    bring(Path(function.__code__.co_filename).parent / "__pycache__", Path(dispatcher._cache.cache_path))  # noqa: SLF001  # numba says it nowhere else
    return dispatcher


def bring(shipped: Path, place: Path) -> None:
    """Copy compiled kernels from beside their sources to another place, where that has none or older ones.

    Each file is there whole or not at all, and an index after what it names. What cannot be copied will be compiled.
    """
    if (shipped, place) in _brought or shipped == place:
        return
    _brought.add((shipped, place))
    with contextlib.suppress(OSError):
        for file in sorted((*shipped.glob("*.nbc"), *shipped.glob("*.nbi")), key=lambda each: each.suffix):
            there = place / file.name
            if there.exists() and there.stat().st_mtime_ns >= file.stat().st_mtime_ns:
                continue
            half = place / f".{file.name}.{os.getpid()}"
            try:
                shutil.copy2(file, half)
                half.replace(there)
            finally:
                half.unlink(missing_ok=True)


def high_product(reference: F) -> F:
    """Return a function of kernels for the upper 64 of the 128 bits of a product of two uint64, as `reference` is.

    A processor has it in one instruction, which no compiler finds behind the shifts and sums of the reference.
    """
    if numba is None or numba.config.DISABLE_JIT:
        return reference
    from llvmlite import ir  # type: ignore[import-untyped]  # noqa: PLC0415  # there where numba is
    from numba.extending import intrinsic  # noqa: PLC0415  # the same

    @intrinsic  # type: ignore[untyped-decorator]  # numba has no types
    def high(_context: Any, _a: Any, _b: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            wide = ir.IntType(128)
            a, b = (builder.zext(argument, wide) for argument in arguments)
            return builder.trunc(builder.lshr(builder.mul(a, b), ir.Constant(wide, 64)), ir.IntType(64))

        u8 = numba.types.uint64
        return u8(u8, u8), generate

    return cast(F, high)


def _digest(module: str) -> str:
    """Return a digest of what the kernels of a module depend on beyond its own file."""
    known = vars(sys.modules[module])
    constants = sorted((name, value) for name, value in known.items() if type(value) in (int, float, bool))
    found = hashlib.sha256(repr(constants).encode())
    for path in sorted(_files(module, set()) - {str(known.get("__file__"))}):
        found.update(Path(path).read_bytes())
    return found.hexdigest()[:12]


def _files(module: str, seen: set[str]) -> set[str]:
    """Return the files of a module and of all whose kernels it imports, directly or not."""
    if module in seen:
        return set()
    seen.add(module)
    known = vars(sys.modules[module])
    homes = {_home[id(value)] for value in known.values() if id(value) in _home}
    return {str(known.get("__file__"))}.union(*(_files(home, seen) for home in homes))


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
            dispatcher.compile(_arguments(signature))
        compiled += sum(dispatcher.stats.cache_misses.values())
    found = WarmUp(len(chosen), compiled, time.perf_counter() - started)
    if module is None:
        _done[:] = [found, *_done][-1:]  # the first one: what came after found all of it ready
    return found


def _arguments(signature: str) -> tuple[Any, ...]:
    """Return the types of a signature's arguments, by which a call looks for what is kept: numba keeps text apart."""
    return cast(tuple[Any, ...], numba.core.sigutils.normalize_signature(signature)[0])


def warmed() -> WarmUp | None:
    """Return what the first warm-up of all kernels of this process did; None before it ended."""
    return _done[0] if _done else None
