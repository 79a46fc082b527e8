"""Holds: samples that must stay as they are, whatever the retention of others, because somebody said so."""

from __future__ import annotations

from dataclasses import dataclass

from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import LATEST, InstantNs


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold.

    Attributes
    ----------
    sensor : str, optional
        Whose samples; None: everybody's.
    from_ns, to_ns : int
        Samples with from_ns <= t < to_ns; until released, also those that are yet to come.
    reason, put_by, put_ns
        Why, by whom and when.
    """

    id: str
    sensor: SensorId | None
    from_ns: InstantNs
    to_ns: InstantNs
    reason: str
    put_by: str
    put_ns: InstantNs

    def __post_init__(self) -> None:
        if not 0 <= self.from_ns < self.to_ns <= LATEST:
            raise InvalidData("a hold must begin before it ends")
        if not self.reason.strip():
            raise InvalidData("a hold needs a reason")
