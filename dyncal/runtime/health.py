"""How a program stands."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a service does its work: `ready`, and for each thing it depends on what is wrong ('' when nothing is)."""

    ready: bool
    parts: dict[str, str] = field(default_factory=dict)
