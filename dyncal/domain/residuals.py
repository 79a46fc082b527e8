"""Residuals: what an edge finds when it sends its corrected values through the sensor's model and compares."""

from __future__ import annotations

from dataclasses import dataclass

from dyncal.domain.sensors import SensorId


@dataclass(frozen=True, slots=True)
class ResidualReport:
    """What an edge found of one set since it last said so.

    Attributes
    ----------
    rms : float
        Root mean square of the set's own statistic, in the sensor's unit: of means of the innovation over windows, or
        of differences of a smoother's innovations (docs/metrology.md).
    limit : float
        Largest one that is normal, as the set says; 0: it says nothing.
    n : int
        Windows that ended since; they do not overlap. 0 where none did: then `rms` says nothing.
    shadow : bool
        Whether the set runs beside the one in force, and its values go nowhere.
    difference : float, optional
        Of a shadow: root mean square of its values minus those of the set in force, in the sensor's unit.
    fault : str
        Why it runs no longer; '' while it does.
    """

    sensor: SensorId
    set_id: str
    rms: float
    limit: float
    n: int
    shadow: bool = False
    difference: float | None = None
    fault: str = ""
