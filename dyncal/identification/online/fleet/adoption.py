"""What is known of single sensors, carried from one fleet to another, where they have other numbers."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def adopt(here: dict[int, T], k: int, there: dict[int, T], i: int) -> None:
    """Let `here` say of sensor k what `there` says of sensor i, if anything."""
    if i in there:
        here[k] = there[i]
