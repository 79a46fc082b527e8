"""Time constants of heat conduction in bodies that one number describes."""

from __future__ import annotations

import enum
from functools import cache
from typing import Final

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import j0, j1, jn_zeros

from dyncal.domain.samples import FloatArray

MODES: Final = 48
LOWEST_BIOT: Final = 0.01
HIGHEST_BIOT: Final = 1000.0
_POINTS: Final = 121
_HALVINGS: Final = 60


class Body(enum.StrEnum):
    """Shapes whose heat flows along one coordinate, with a film between surface and fluid."""

    SLAB = "slab"
    CYLINDER = "cylinder"
    SPHERE = "sphere"


def modes(body: Body, log_biot: float, radius: float) -> tuple[FloatArray, FloatArray]:
    """Return τ_i/τ_1 of the first 48 modes, and their shares of the response to heating, each of shape (48,).

    τ_i ∝ 1/β_i² with β tan β = Bi (slab), β J1(β) = Bi J0(β) (cylinder), 1 - β cot β = Bi (sphere), Bi the Biot number
    (film coefficient × half thickness or radius / conductivity). Heated and measured at one radius r, relative to the
    surface's, mode i has the amplitude τ_i φ_i(r)²/∫φ_i² with φ = cos βr, J0(βr), sin(βr)/βr (Carslaw & Jaeger,
    Conduction of Heat in Solids, 2nd ed., 3.11, 7.7, 9.4, 14.5).
    """
    beta = np.exp(_table(body)(np.clip(log_biot, np.log(LOWEST_BIOT), np.log(HIGHEST_BIOT))))
    ratio = (beta[0] / beta) ** 2
    match body:
        case Body.SLAB:
            share = np.cos(beta * radius) ** 2 / (1 + np.sinc(2 * beta / np.pi))
        case Body.CYLINDER:
            share = j0(beta * radius) ** 2 / (j0(beta) ** 2 + j1(beta) ** 2)
        case Body.SPHERE:
            share = (beta * np.sinc(beta * radius / np.pi)) ** 2 / (1 - np.sinc(2 * beta / np.pi))
    weighted = ratio * share
    return np.asarray(ratio), np.asarray(weighted / weighted.sum())


@cache
def _table(body: Body) -> CubicSpline:
    """Return ln β_i as a function of ln Bi."""
    grid = np.linspace(np.log(LOWEST_BIOT), np.log(HIGHEST_BIOT), _POINTS)
    biot = np.exp(grid)[:, None]
    low, high = (np.broadcast_to(edge, (_POINTS, MODES)).copy() for edge in _brackets(body))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = _excess(body, middle, biot) < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return CubicSpline(grid, np.log((low + high) / 2))


def _brackets(body: Body) -> tuple[FloatArray, FloatArray]:
    order = np.arange(MODES, dtype=np.float64)
    match body:
        case Body.SLAB:
            return np.asarray(np.pi * order), np.asarray(np.pi * (order + 0.5))
        case Body.CYLINDER:
            return np.append(0.0, jn_zeros(1, MODES - 1)), np.asarray(jn_zeros(0, MODES), dtype=np.float64)
        case Body.SPHERE:
            return np.asarray(np.pi * order), np.asarray(np.pi * (order + 1.0))


def _excess(body: Body, beta: FloatArray, biot: FloatArray) -> FloatArray:
    """Return a function that rises through 0 at the eigenvalue within its bracket, without poles."""
    sign = (-1.0) ** np.arange(MODES)
    match body:
        case Body.SLAB:
            return np.asarray(sign * (beta * np.sin(beta) - biot * np.cos(beta)))
        case Body.CYLINDER:
            return np.asarray(sign * (beta * j1(beta) - biot * j0(beta)))
        case Body.SPHERE:
            return np.asarray(sign * ((1 - biot) * np.sin(beta) - beta * np.cos(beta)))
