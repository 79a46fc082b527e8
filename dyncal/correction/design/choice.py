"""Which form of correction a sensor takes: the rules, and what they say of a stream."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.correction.design.sensor import sensor_of
from dyncal.correction.design.spectrum import MeasurandSpectrum
from dyncal.correction.design.wiener import Form, design
from dyncal.correction.streaming.grid import FOLLOW
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.time import NS_PER_S, Int64Array

NARROW: Final = 0.01
"""Bandwidth over sampling rate below which an FIR filter would need thousands of taps."""

MAX_JITTER: Final = 0.25
"""Distance from the sampling grid, as a share of dt, that the grid of `StreamingCorrector` takes."""

LONGEST_HOLE: Final = 3
"""Missing samples that it bridges."""

_FEW: Final = 1e-3  # share of samples off the grid that is left as gaps


class Method(enum.StrEnum):
    """Forms of correction."""

    FIR = "fir"
    RECURSIVE = "recursive"
    SMOOTHER = "smoother"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How regular a stream is.

    Attributes
    ----------
    n : int
    jitter : float
        Root mean square distance from a grid that follows the instants, as a share of dt.
    off_grid : float
        Share of samples farther off than `MAX_JITTER`, or behind a hole of more than `LONGEST_HOLE` samples.
    """

    n: int
    jitter: float
    off_grid: float


@dataclass(frozen=True, slots=True)
class Choice:
    """A form, and the rule that chose it."""

    method: Method
    why: str


def sampling_of(t_ns: Int64Array, dt_ns: int) -> Sampling:
    """Return how regular instants are.

    Raises
    ------
    InvalidData
        If there are fewer than 3, or they do not increase strictly.
    """
    steps = np.diff(t_ns)
    if dt_ns <= 0 or t_ns.size < 3 or bool(np.any(steps <= 0)):
        raise InvalidData("regularity needs a positive dt_ns and at least 3 instants that increase strictly")
    slots = np.maximum(np.rint(steps / dt_ns), 1)
    e, lost, squares = 0.0, 0, []
    for slot, error in zip(slots.tolist(), (steps / dt_ns - slots).tolist(), strict=True):
        e = (1 - FOLLOW) * e + error
        squares.append(e * e)
        if slot > LONGEST_HOLE + 1 or abs(e) > MAX_JITTER:
            lost, e = lost + 1, 0.0
    return Sampling(int(t_ns.size), math.sqrt(sum(squares) / len(squares)), lost / len(squares))


def choose(
    parameters: Parameters,
    *,
    dt_ns: int,
    noise_std: float,
    spectrum: MeasurandSpectrum,
    sampling: Sampling | None = None,
) -> Choice:
    """Choose the form, by these rules in this order.

    1. A zero in the right half-plane: FIR, the only form with a latency for what is not causal.
    2. More than a thousandth of the samples off the grid, or behind holes that are not bridged: the smoother.
    3. A bandwidth below a hundredth of the sampling rate: the smoother.
    4. Recursive sections where they do at most three quarters of the work of the FIR filter; else FIR.

    Raises
    ------
    InvalidData
        As `dyncal.correction.design.wiener.design`.
    """
    without = settled(parameters, dt_ns=dt_ns, spectrum=spectrum, sampling=sampling)
    if without is not None:
        return without
    made = design(parameters, dt_ns=dt_ns, noise_std=noise_std, spectrum=spectrum, form=Form.AUTO).filter
    if made.sos.size:
        return Choice(
            Method.RECURSIVE, f"{made.fir.size} taps and {made.sos.shape[0]} sections do for a long FIR filter"
        )
    return Choice(Method.FIR, f"{made.fir.size} taps are enough")


def settled(
    parameters: Parameters, *, dt_ns: int, spectrum: MeasurandSpectrum, sampling: Sampling | None = None
) -> Choice | None:
    """Apply the rules 1 to 3 of `choose`; None where only a design tells. Raises `InvalidData` of no sensor."""
    sensor = sensor_of(parameters)
    if bool(np.any(sensor.zeros.real > 0)):
        return Choice(Method.FIR, "a zero in the right half-plane")
    if sampling is not None and not sampling.off_grid <= _FEW:
        return Choice(Method.SMOOTHER, f"{sampling.off_grid:.2%} of the samples do not lie on a grid")
    relative = spectrum.band_hz * dt_ns / NS_PER_S
    if relative < NARROW:
        return Choice(Method.SMOOTHER, f"the band is {relative:.2g} of the sampling rate")
    return None
