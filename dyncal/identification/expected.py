"""What a data sheet says of a parameter: the guard against wrong units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_UNITS: Final = (1e3, 1e-3, 1e6, 1e-6)


def against_expected(name: str, value: float, u: float, expected: Mapping[str, tuple[float, float]]) -> str:
    """Return why a parameter with standard uncertainty u is not what was expected, or an empty string."""
    low, high = expected.get(name, (float("-inf"), float("inf")))
    if low - 2 * u <= value <= high + 2 * u:
        return ""
    wrong = next((f for f in _UNITS if low <= value / f <= high), None)
    hint = f": {wrong:g} times what it should be, as with wrong units" if wrong else ""
    return f"{name} is {value:.6g}, and {low:g} to {high:g} was expected{hint}"
