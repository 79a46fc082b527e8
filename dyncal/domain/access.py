"""Who may do what: roles."""

from __future__ import annotations

import enum
from typing import Final


class Role(enum.StrEnum):
    """What somebody may do. Each role of people may do all that those before it may; `edge` stands apart."""

    VIEWER = "viewer"
    """Reads."""

    OPERATOR = "operator"
    """Works with alarms: acknowledges, comments, shelves."""

    ENGINEER = "engineer"
    """Decides on sensors, pairings, calibrations, coefficient sets and rollouts."""

    ADMIN = "admin"
    """Decides on users and keys."""

    EDGE = "edge"
    """An edge device: gets what its own sensors are to run, and nothing of another."""

    def covers(self, needed: Role) -> bool:
        """Tell whether this role may do what `needed` may."""
        if Role.EDGE in (self, needed):
            return self is needed
        return _RANKS[self] >= _RANKS[needed]


PEOPLE: Final = (Role.VIEWER, Role.OPERATOR, Role.ENGINEER, Role.ADMIN)
"""Roles in order of what they may do; without `edge`."""

_RANKS: Final = {role: rank for rank, role in enumerate(PEOPLE)}
