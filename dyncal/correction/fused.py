"""Fused multiply-add for kernels: one rounding instead of two, at half the latency.

LLVM may not fuse a·b + c by itself (fastmath is off, so that results do not depend on how a loop was vectorised); asked
for by name, the same operation is made in the vector body of a loop and in its remainder. Without numba, and where its
compiler is off, the sum is rounded twice: equal to 1e-12, not to the last bit.

Not a kernel, but part of kernels in other files: numba's cache does not see a change here (ADR 0004). Whoever changes
what `fma` means gives it another name.
"""

from __future__ import annotations

from typing import Any

try:
    from numba import types
    from numba.extending import intrinsic, overload
except ImportError:  # the light edge
    intrinsic = None


def fma(a: float, b: float, c: float) -> float:
    """Return a·b + c."""
    return a * b + c


if intrinsic is not None:

    @intrinsic  # type: ignore[untyped-decorator]  # numba has no types
    def _fma(_typing: Any, a: Any, b: Any, c: Any) -> Any:
        if not a == b == c == types.float64:
            return None

        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.fma(*arguments)

        return types.float64(types.float64, types.float64, types.float64), generate

    @overload(fma)  # type: ignore[untyped-decorator]  # numba has no types
    def _overloaded(a: Any, b: Any, c: Any) -> Any:
        def fused(a: Any, b: Any, c: Any) -> Any:  # numba compares the two signatures, annotations included
            return _fma(a, b, c)

        return fused
