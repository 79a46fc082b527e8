"""What can be set of the Kalman fit."""

from __future__ import annotations

from dataclasses import dataclass

from dyncal.domain.choices import choice
from dyncal.domain.errors import InvalidData
from dyncal.identification.kalman.measurand import Process
from dyncal.identification.ranges import not_negative, positive, stated


@dataclass(frozen=True, slots=True)
class KalmanSettings:
    """Settings of `fit_kalman`.

    Attributes
    ----------
    u_reference_noise : float, optional
        Standard deviation of the reference's own white noise, in its unit, where it is known (0: none); estimated
        where it is None.
    u_reference : float
        Standard uncertainty of the reference's offset, in its unit; 0 leaves it out.
    u_reference_gain : float
        Standard uncertainty of the reference's gain, relative.
    u_clock_s : float
        Standard uncertainty of the clock offset between sensor and reference [s]; 0 leaves it out. It must be short
        against what shapes the sensor's response: the offset enters to first order.
    process : Process, optional
        What the measurand is taken for; None chooses by likelihood (`fit_kalman` says how). The Ornstein-Uhlenbeck
        process, the roughest, is safe for every measurand, but claims too much uncertainty for a smooth one.
    max_relative_u : float
        A parameter that is known less well than this, relative, is named unobservable.
    levels : bool
        True: values that repeat exactly at an end of the record are levels of a command (steps, bit sequences), not
        saturation.
    max_passes : int
        Evaluations of the likelihood after which a fit that has not converged is given up.
    """

    u_reference_noise: float | None = None
    u_reference: float = 0.0
    u_reference_gain: float = 0.0
    u_clock_s: float = 0.0
    process: Process | None = None
    max_relative_u: float = 0.25
    levels: bool = False
    max_passes: int = 60

    def __post_init__(self) -> None:
        not_negative(self, *stated(self, "u_reference_noise"), "u_reference", "u_reference_gain", "u_clock_s")
        positive(self, "max_relative_u")
        if self.process is not None:
            object.__setattr__(self, "process", choice(Process, self.process, "process"))
        if self.max_passes < 1:
            raise InvalidData(f"max_passes must be at least 1, not {self.max_passes}")
