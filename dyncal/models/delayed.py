# ruff: noqa: D102 (ResponseModel says what each method does)
"""Dead time before any model: H(s) e^(-sT), θ = (θ of the model, delay_s)."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.models.base import ComplexArray, Hold, ResponseModel

DELAY: Final = "delay_s"
_TICKS_PER_S: Final = 1_000_000_000_000
_LONGEST_TICKS: Final = 2**62


class Delayed(ResponseModel):
    """A model behind a dead time T ≥ 0.

    A fit may find a T below zero, within its uncertainty; a simulation takes none.

    Parameters
    ----------
    model : ResponseModel
        Not itself delayed.
    """

    def __init__(self, model: ResponseModel) -> None:
        if DELAY in model.names:
            raise InvalidData(f"{model.label} has a dead time already")
        self.model = model
        # the sensor's kind stays what it is: dead time is one more name in θ
        self.kind = model.kind  # type: ignore[misc]
        self.names = (*model.names, DELAY)

    @property
    def label(self) -> str:
        return f"{self.model.label} with dead time"

    def frequency_response(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        values = self.check(theta)
        return self.model.frequency_response(values[:-1], f_hz) * _turn(values[-1], f_hz)

    def jacobian(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        values = self.check(theta)
        turn = _turn(values[-1], f_hz)
        own = self.model.jacobian(values[:-1], f_hz) * turn[:, None]
        h = self.model.frequency_response(values[:-1], f_hz) * turn
        return np.concatenate([own, (-2j * np.pi * np.asarray(f_hz) * h)[:, None]], axis=1)

    def check_physical(self, theta: FloatArray) -> FloatArray:
        values = self.check(theta)
        self.model.check_physical(values[:-1])
        return values

    def simulate_steps(
        self, theta: FloatArray, steps: Int64Array, ticks_per_s: int, u: FloatArray, hold: Hold
    ) -> FloatArray:
        """Shift exactly: the model runs over the instants tₖ of the measurand and tₖ - T, and is read at the latter.

        T is rounded to a picosecond. Raises `InvalidData` for a T below zero, or beyond 50 days.
        """
        values = self.check(theta)
        scale = _TICKS_PER_S // ticks_per_s
        delay = round(float(values[-1]) * _TICKS_PER_S)
        if delay < 0:
            raise InvalidData(f"{DELAY} must not be negative in a simulation, and is {values[-1]}")
        if (int(steps.sum()) + 1) * scale + delay >= _LONGEST_TICKS:
            raise InvalidData(f"record and dead time must be shorter than {_LONGEST_TICKS // _TICKS_PER_S} s")
        at = np.concatenate([[0], np.cumsum(steps)]) * scale
        instants = np.union1d(at, at - delay)
        if hold is Hold.FIRST:
            held = np.interp(instants, at, u)
        else:
            held = u[np.maximum(np.searchsorted(at, instants, side="right") - 1, 0)]
        shifted = self.model.simulate_steps(values[:-1], np.diff(instants), _TICKS_PER_S, held, hold)
        return shifted[np.searchsorted(instants, at - delay)]


def _turn(delay_s: float, f_hz: FloatArray) -> ComplexArray:
    return np.asarray(np.exp(-2j * np.pi * np.asarray(f_hz) * delay_s), dtype=np.complex128)
