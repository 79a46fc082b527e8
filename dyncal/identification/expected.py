"""What a data sheet says of a parameter: the guard against wrong units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from dyncal.domain.errors import InvalidData
from dyncal.models import ResponseModel

_UNITS: Final = (1e3, 1e-3, 1e6, 1e-6)


def check_ranges(expected: Mapping[str, tuple[float, float]]) -> None:
    """Check what is expected of parameters.

    Raises
    ------
    InvalidData
        If it is no mapping of names to ranges.
    """
    given: object = expected
    if not isinstance(given, Mapping):
        raise InvalidData(f"expected must map names of parameters to ranges, not be {given!r}")
    for name, ends in given.items():
        if not isinstance(ends, Iterable) or len(pair := tuple(ends)) != 2:
            raise InvalidData(f"expected {name}: {ends!r} is no range (lowest, highest)")
        if not pair[0] < pair[1]:
            raise InvalidData(f"expected {name}: {pair[0]} to {pair[1]} is no range")


def check_known(expected: Mapping[str, tuple[float, float]], models: Iterable[ResponseModel]) -> None:
    """Check that what is expected is expected of a parameter that there is.

    Raises
    ------
    InvalidData
        If no model has a parameter of such a name: a guard that is misspelt guards nothing.
    """
    names = list(dict.fromkeys(name for model in models for name in model.names))
    for name in expected:
        if name not in names:
            raise InvalidData(f"expected {name}: there is no such parameter, only {', '.join(names)}")


def against_expected(name: str, value: float, u: float, expected: Mapping[str, tuple[float, float]]) -> str:
    """Return why a parameter with standard uncertainty u is not what was expected, or an empty string."""
    low, high = expected.get(name, (float("-inf"), float("inf")))
    if low - 2 * u <= value <= high + 2 * u:
        return ""
    wrong = next((f for f in _UNITS if low <= value / f <= high), None)
    hint = f": {wrong:g} times what it should be, as with wrong units" if wrong else ""
    return f"{name} is {value:.6g}, and {low:g} to {high:g} was expected{hint}"
