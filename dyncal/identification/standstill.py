"""Channels that stood still, or repeat each value, in a record whose residuals show that the measurand did not."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.correction.design.stale import Stale, stale
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

LOUDER: Final = 4.0
"""Variance of the residuals there over elsewhere."""
FEW: Final = 8
"""Residuals; of fewer nothing is said."""
FEWEST_REPEATS: Final = 7
"""Samples that are what their predecessor was; where there are fewer, nothing stands still."""


def runs_of(values: FloatArray) -> Stale | None:
    """Return the runs of equal values of a channel (n,) that its resolution does not explain; None without any.

    Indices count finite values only.
    """
    if np.count_nonzero(values[1:] == values[:-1]) < FEWEST_REPEATS:
        return None
    return stale(values[np.isfinite(values)])


def held(name: str, values: FloatArray) -> str:
    """Say that a channel repeats each of its values, or return an empty string."""
    runs = runs_of(values)
    return repeated(name, runs) if runs is not None and runs.held else ""


def repeated(name: str, runs: Stale) -> str:
    """Say that a channel repeats each value."""
    return f"the {name} repeats each value some {runs.length} times: leave out (NaN) what was not measured anew"


def standing(name: str, t_ns: Int64Array, values: FloatArray, runs: Stale) -> str:
    """Say where a channel (finite values) stands still for longest."""
    longest = int(np.argmax(runs.end - runs.begin))
    begin, n = runs.begin[longest], runs.end[longest] - runs.begin[longest]
    where = f"{values[begin]:.6g} for {n} samples from {int(t_ns[begin])} ns"
    return f"the {name} stands still at {where}, which is not what was measured: leave that out (NaN)"


def within(at_ns: Int64Array, t_ns: Int64Array, runs: Stale) -> npt.NDArray[np.bool_]:
    """Tell which instants are in a run or, as the sensor remembers it, within as long after it."""
    inside = np.zeros(at_ns.size, dtype=np.bool_)
    for begin, end in zip(runs.begin.tolist(), runs.end.tolist(), strict=True):
        last = min(2 * end - begin, t_ns.size) - 1
        inside |= (at_ns >= t_ns[begin]) & (at_ns <= t_ns[last])
    return inside


def louder(residual: FloatArray, inside: npt.NDArray[np.bool_], usual: float) -> bool:
    """Tell whether residuals (n,) are far above their usual variance where `inside`."""
    if np.count_nonzero(inside) < FEW:
        return False
    return float(np.mean(residual[inside] ** 2)) > LOUDER * max(usual, 1e-300)


def of_block(t_ns: Int64Array, y: FloatArray, r: FloatArray, e: FloatArray, usual: float) -> str:
    """Name a channel of a block that was not measured anew, as the innovations (n,) of a known sensor show it.

    Parameters
    ----------
    usual : float
        Variance of the innovations.
    """
    for name, values in (("indication", y), ("reference", r)):
        runs = runs_of(values)
        if runs is None:
            continue
        seen = np.isfinite(values)
        if runs.held:
            if louder(e, seen, usual):
                return repeated(name, runs)
        elif louder(e, within(t_ns, t_ns[seen], runs), usual):
            return standing(name, t_ns[seen], values[seen], runs)
    return ""
