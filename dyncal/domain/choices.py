"""Choices given by name: a library's caller writes ``phase_sign="lag positive"`` as readily as the member itself."""

from __future__ import annotations

import enum
from typing import TypeVar

from dyncal.domain.errors import InvalidData

_Choice = TypeVar("_Choice", bound=enum.Enum)


def choice(of: type[_Choice], value: object, what: str) -> _Choice:
    """Return the member of `of` that `value` is or names.

    Raises
    ------
    InvalidData
        If there is none; the text lists those that there are.
    """
    try:
        return of(value)
    except ValueError as error:
        names = ", ".join(repr(member.value) for member in of)
        raise InvalidData(f"{what} is one of {names}, not {value!r}") from error
