"""Channels that stay at an end of their range while the other channel shows that they should have gone beyond.

A reference at rest at its extreme, a command of few levels or a coarse converter stay there too, and are sound. What
tells them from saturation is the model: with what a saturated channel did not show put back, the other one is
explained much better, and all of it lies beyond the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.identification.online.passes import STILL, SURELY, at_rest, excess, stuck
from dyncal.identification.screen import saturated

_NAMES: Final = ("indication", "reference")
_SHIFT: Final = 0.1  # of a channel's range, to see what a change of it does
_PIECES: Final = 48  # what is put back is constant in that many pieces, or a few more
_PIECE: Final = (1, 4)  # samples of a piece at least, of indication and reference
_ROUNDS: Final = 6
_CLEARLY: Final = 30.0  # twice a log-likelihood ratio, and `_EACH` for each piece
_EACH: Final = 3.0
_EXPLAINED: Final = 5.0  # as much less power of residuals, with nearly all pieces beyond the end, needs no statistics
_NEARLY_ALL: Final = 0.8
_SURELY: Final = 4.0  # standard deviations of the mean excess

Predictor = Callable[[FloatArray, FloatArray], FloatArray | None]
"""Innovations (n,) for an indication and a reference, (n,) each; linear in both."""


def named(found: FloatArray) -> str:
    """Return what is saturated, from side, level and share of both channels, (6,) or more; empty if nothing is."""
    for k, name in enumerate(_NAMES):
        if found[3 * k]:
            return saturated(name, float(found[3 * k + 1]), float(found[3 * k + 2]))
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class _Stay:
    """A channel (0 indication, 1 reference) that stays at one end of its range."""

    channel: int
    side: float
    level: float
    resolution: float
    spread: float
    sure: bool
    at: npt.NDArray[np.bool_]

    @property
    def text(self) -> str:
        return saturated(_NAMES[self.channel], self.level, float(np.mean(self.at)))

    def moved(self, y: FloatArray, r: FloatArray, by: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return both channels with this one moved."""
        return (y + by, r) if self.channel == 0 else (y, r + by)

    def pieces(self) -> FloatArray:
        """Return indicators (q, n) of at most about `_PIECES` pieces of the stays."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.at, [False]]).astype(np.int8)))
        longest = max(_PIECE[self.channel], -(-int(self.at.sum()) // _PIECES))
        cuts = [
            (low, min(low + longest, int(end)))
            for begin, end in zip(edges[::2], edges[1::2], strict=True)
            for low in range(int(begin), int(end), longest)
        ]
        cuts = sorted(cuts, key=lambda cut: cut[0] - cut[1])[: 2 * _PIECES]
        marks = np.zeros((len(cuts), self.at.size))
        for mark, (low, high) in zip(marks, cuts, strict=True):
            mark[low:high] = 1.0
        return marks


def _stays(y: FloatArray, r: FloatArray) -> list[_Stay]:
    found = []
    y, r = np.ascontiguousarray(y), np.ascontiguousarray(r)
    for channel, values in enumerate((y, r)):
        if not bool((values[1:] == values[:-1]).any()):
            continue  # it stays nowhere
        for side in (-1.0, 1.0):
            at = np.empty(values.size, dtype=np.bool_)
            level, resolution = at_rest(values, side > 0, at)
            if resolution > 0:
                spread = float(np.nanmax(values) - np.nanmin(values))
                sure = channel == 0 and bool(stuck(values, r, at))
                found.append(_Stay(channel, side, level, resolution, spread, sure, at))
    return found


def of_block(y: FloatArray, r: FloatArray, before: Predictor, fitted: Predictor) -> str:
    """Return what is saturated in a block of a known sensor, or an empty string.

    `before` predicts by what was known of the sensor, `fitted` by what the block has made of it: a sensor that has
    changed looks saturated to the one, but not to the other.
    """
    for stay in _stays(y, r):
        if stay.sure or (_beyond(stay, y, r, fitted, STILL) and _beyond(stay, y, r, before, SURELY)):
            return stay.text
    return ""


def _beyond(stay: _Stay, y: FloatArray, r: FloatArray, predict: Predictor, surely: float) -> bool:
    by = _SHIFT * stay.spread
    e, there = predict(y, r), predict(*stay.moved(y, r, np.where(stay.at, by, 0.0)))
    if e is None or there is None:
        return False
    return stay.side * excess(e, (there - e) / by, stay.resolution, stay.spread, surely) > 0


def of_record(
    y: FloatArray, r: FloatArray, fitted: Callable[[FloatArray, FloatArray], tuple[float, Predictor] | None]
) -> str:
    """Return what is saturated in a record of a sensor that is not known yet; empty if nothing is.

    The saturation itself has spoilt the fit. So what the channel did not show is estimated, piece by piece, in turn
    with the sensor.

    Parameters
    ----------
    fitted : callable
        For y and r: variance of the innovations of a fit to them, and the residuals of the fitted sensor's simulation
        as a function of them.
    """
    for stay in _stays(y, r):
        if stay.sure:
            return stay.text
        marks = stay.pieces()
        there = fitted(y, r)
        if there is None:
            return ""
        first, before = there[0], _power(there[1](y, r))
        put_back = None
        for _ in range(_ROUNDS):
            solved = _put_back(stay, y, r, marks, there[1])
            if solved is None:
                break
            moved = stay.moved(y, r, solved.by)
            again = fitted(*moved)
            if again is None:
                break
            there, put_back = again, solved
            if before > _EXPLAINED * _power(there[1](*moved)) and put_back.share > _NEARLY_ALL:
                return stay.text
        if put_back is None:
            continue
        gained = y.size * np.log(first / there[0]) - _EACH * len(marks)
        u = np.sqrt(there[0] / put_back.own.sum())
        if gained > _CLEARLY and put_back.mean > stay.resolution and put_back.mean > _SURELY * u:
            return stay.text
    return ""


def _power(e: FloatArray | None) -> float:
    return np.inf if e is None else float(e @ e)


@dataclass(frozen=True, slots=True, eq=False)
class _PutBack:
    """What a channel lacks piece by piece, outwards (q,), with weights; the whole, (n,); the share beyond the end."""

    b: FloatArray
    own: FloatArray
    by: FloatArray
    share: float

    @property
    def mean(self) -> float:
        return float(self.own @ self.b / self.own.sum())


def _put_back(stay: _Stay, y: FloatArray, r: FloatArray, marks: FloatArray, predict: Predictor) -> _PutBack | None:
    """Return what the pieces lack for the least residuals."""
    e = predict(y, r)
    if e is None:
        return None
    unit = _SHIFT * stay.spread
    effects = np.zeros(marks.shape)
    for effect, mark in zip(effects, marks, strict=True):
        there = predict(*stay.moved(y, r, unit * mark))
        if there is None:
            return None
        effect[:] = (there - e) / unit
    gram = effects @ effects.T
    ridge = 1e-3 * np.trace(gram) / len(marks) * np.eye(len(marks))
    b, own = np.linalg.solve(gram + ridge, -effects @ e), np.diag(gram).copy()
    beyond = stay.side * b > stay.resolution
    return _PutBack(stay.side * b, own, b @ marks, float(own[beyond].sum() / own.sum()))
