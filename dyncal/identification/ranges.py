"""Ranges of settings, checked once for all kinds of them."""

from __future__ import annotations

import numpy as np

from dyncal.domain.errors import InvalidData

_INF = float("inf")


def stated(settings: object, *names: str) -> tuple[str, ...]:
    """Return those of the named attributes that are not None."""
    return tuple(name for name in names if getattr(settings, name) is not None)


def not_negative(settings: object, *names: str) -> None:
    """Check that the named attributes are finite and not negative.

    Raises
    ------
    InvalidData
        If one is not, by its name.
    """
    _within(settings, names, "finite and not negative", zero=True)


def positive(settings: object, *names: str) -> None:
    """Check that the named attributes are finite and positive.

    Raises
    ------
    InvalidData
        If one is not, by its name.
    """
    _within(settings, names, "finite and positive", zero=False)


def _within(settings: object, names: tuple[str, ...], what: str, *, zero: bool) -> None:
    for name in names:
        value = getattr(settings, name)
        if not isinstance(value, (int, float, np.integer, np.floating)) or not (
            0 < value < _INF or (zero and value == 0)
        ):
            raise InvalidData(f"{name} must be {what}, not {value}")
