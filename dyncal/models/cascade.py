"""A rational model as a chain of sections, slowest first, with the measurand fed into every one of them.

    B(s)/A(s) = d + Σⱼ Pⱼ(s) / Π_{i ≥ j} Aᵢ(s),      B - d A = P₁ + A₁ (P₂ + A₂ (P₃ + …))

by division of polynomials, so that nothing is singular where poles come together. States are counted from the last
section on, whose first one is the output: c = (1, 0, …). A lag has the state ẋ = (-x + Pⱼ u + v)/τ, v the output of
the section before; a pair has ż = ω(w + κ u), ẇ = ω(-z - 2δ w + q u + v) with Pⱼ = q + 2δκ + κ s/ω.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.models.base import Discretisation, Hold, StateSpace
from dyncal.models.pair import pair_transition
from dyncal.models.phi_functions import phi_functions
from dyncal.models.sections import Section, denominator, sections

_STIFF: Final = 8.0


def state_space(gain: float, shape: FloatArray, coordinates: FloatArray) -> StateSpace:
    """Return the realisation of H = g (1 + Σ βₖ aₖ sᵏ) / A(s).

    Parameters
    ----------
    gain : float
        g.
    shape : float64, shape (m,), m <= n
        β₁ … βₘ.
    coordinates : float64, shape (n,), n >= 1
        Of A (`dyncal.models.sections`). Derivatives are in the order g, β, coordinates.
    """
    n, first = coordinates.size, 1 + shape.size
    chain = sections(coordinates)
    level, slopes, d = _numerator(shape, coordinates)
    pieces = _divided(level, chain)
    a, b, c = np.zeros((n, n)), np.zeros(n), np.zeros(n)
    da, db, dd = np.zeros((first + n, n, n)), np.zeros((first + n, n)), np.zeros(first + n)
    dpieces = _divided_derivatives(slopes, pieces, chain, first)
    before = -1
    for at, section, piece, dpiece in zip(_places(chain), chain, pieces, dpieces, strict=True):
        rows = slice(at, at + section.order)
        own = slice(first + section.first, first + section.first + section.order)
        _dynamics(section, at, before, a, da[own])
        b[rows], db[:, rows] = _inlet(section, piece, dpiece, own)
        before = at
    c[0] = 1.0
    db, dd[0] = gain * db, d
    db[0] = b
    if shape.size == n:
        dd[shape.size] = gain
    return StateSpace(a, gain * b, c, gain * d, da, db, dd)


def discretise(system: StateSpace, first: int, chain: list[Section], h_s: FloatArray, hold: Hold) -> Discretisation:
    """Solve `system` over intervals h [s], shape (m,), h >= 0; coordinates of the sections begin at `first`."""
    n, p = system.b.size, system.db.shape[0]
    h = h_s[:, None, None, None]
    functions = phi_functions((system.a * h)[:, 0], system.da[first:] * h)
    phi, dphi = functions.exp[:, 0], np.zeros((h_s.size, p, n, n))
    dphi[:, first:] = functions.exp[:, 1:]
    if float(h_s.max(initial=0.0)) * max(section.rate * (1 + section.damping) for section in chain) > _STIFF:
        _sharpen(phi, dphi, first, chain, h_s)
    level, dlevel = _driven(functions.phi1 * h, system, first)
    if hold is Hold.FIRST:
        ramp, dramp = _driven(functions.phi2 * h, system, first)
        gamma, dgamma = np.stack([level - ramp, ramp], axis=-1), np.stack([dlevel - dramp, dramp], axis=-1)
    else:
        gamma, dgamma = _alone(level), _alone(dlevel)
    _absorb(system, phi, dphi, gamma, dgamma)
    return Discretisation(phi, gamma, dphi, dgamma)


def _numerator(shape: FloatArray, coordinates: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Return the coefficients of (B - d A)/g, shape (n,), their derivatives in β and coordinates, and d/g."""
    n, m = coordinates.size, shape.size
    a, da = denominator(coordinates)
    d = float(shape[-1]) if m == n else 0.0
    share = np.zeros(n)
    share[: m + 1] = np.concatenate([[1.0], shape])[:n]
    share -= d
    slopes = np.zeros((m + n, n))
    slopes[np.arange(min(m, n - 1)), np.arange(1, min(m, n - 1) + 1)] = a[1 : min(m, n - 1) + 1]
    if m == n:
        slopes[m - 1] = -a[:n]
    slopes[m:] = share * da[:, :n]
    return share * a[:n], slopes, d


def _divided(r: FloatArray, chain: list[Section]) -> list[FloatArray]:
    """Return the remainders P of shape (2,) for each section; `r` may have leading axes."""
    found, rest = [], r
    for section in chain:
        rest, remainder = _divide(rest, section.factor[: section.order + 1])
        found.append(np.concatenate([remainder, np.zeros((*r.shape[:-1], 2 - section.order))], axis=-1))
    return found


def _divide(r: FloatArray, factor: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return quotient and remainder of polynomials along the last axis, lowest power first."""
    rest, order = r.copy(), factor.size - 1
    quotient = np.zeros((*r.shape[:-1], max(r.shape[-1] - order, 0)))
    for k in reversed(range(quotient.shape[-1])):
        quotient[..., k] = rest[..., k + order] / factor[-1]
        for j in range(order):
            rest[..., k + j] -= quotient[..., k] * factor[j]
    return quotient, rest[..., :order]


def _divided_derivatives(
    slopes: FloatArray, pieces: list[FloatArray], chain: list[Section], first: int
) -> list[FloatArray]:
    """Return ∂P of shape (p, 2) for each section: Σ dPⱼ Π_{i<j} Aᵢ = dR - Σ Pⱼ d(Π_{i<j} Aᵢ), divided like R."""
    p = 1 + slopes.shape[0]
    right = np.concatenate([np.zeros((1, slopes.shape[1])), slopes])
    product, dproduct = np.ones(1), np.zeros((p, 1))
    for section, piece in zip(chain, pieces, strict=True):
        own = piece[: section.order]
        for i in range(p):
            taken = np.convolve(dproduct[i], own)
            right[i, : taken.size] -= taken
        factor = section.factor[: section.order + 1]
        grown = np.array([np.convolve(row, factor) for row in dproduct])
        for k in range(section.order):
            at = first + section.first + k
            grown[at] += np.convolve(product, section.dfactor[k, : section.order + 1])
        product, dproduct = np.convolve(product, factor), grown
    return _divided(right, chain)


def _places(chain: list[Section]) -> list[int]:
    """Return the first row of each section; the last one of the chain has row 0."""
    orders = [section.order for section in chain]
    return [sum(orders[k + 1 :]) for k in range(len(chain))]


def _dynamics(section: Section, at: int, before: int, a: FloatArray, da: FloatArray) -> None:
    """Write the rows of one section into A, and their derivatives in its own coordinates."""
    rate = section.rate
    if section.order == 1:
        a[at, at] = -rate
        if before >= 0:
            a[at, before] = rate
        da[0, at] = -a[at]
        return
    a[at, at + 1], a[at + 1, at], a[at + 1, at + 1] = rate, -rate, -2 * section.damping * rate
    if before >= 0:
        a[at + 1, before] = rate
    da[0, at + 1, at + 1] = a[at + 1, at + 1]
    da[1, at : at + 2] = a[at : at + 2]


def _inlet(section: Section, piece: FloatArray, dpiece: FloatArray, own: slice) -> tuple[FloatArray, FloatArray]:
    """Return the rows of b of one section for Pⱼ, and their derivatives, shape (p, order)."""
    rate, damping = section.rate, section.damping
    if section.order == 1:
        slope = rate * dpiece[:, :1]
        slope[own] -= rate * piece[0]
        return rate * piece[:1], slope
    kappa, dkappa = rate * piece[1], rate * dpiece[:, 1]
    dkappa[own.stop - 1] += kappa
    q, dq = piece[0] - 2 * damping * kappa, dpiece[:, 0] - 2 * damping * dkappa
    dq[own.start] -= 2 * damping * kappa
    b, db = rate * np.array([kappa, q]), rate * np.stack([dkappa, dq], axis=-1)
    db[own.stop - 1] += b
    return b, db


def _sharpen(phi: FloatArray, dphi: FloatArray, first: int, chain: list[Section], h_s: FloatArray) -> None:
    """Put the closed form of each section in its place on the diagonal: no loss by doubling for slow ones."""
    for at, section in zip(_places(chain), chain, strict=True):
        own, rows = first + section.first, slice(at, at + section.order)
        if section.order == 1:
            phi[:, at, at] = np.exp(-section.rate * h_s)
            dphi[:, own, at, at] = section.rate * h_s * phi[:, at, at]
        else:
            angle = section.rate * h_s
            phi[:, rows, rows], ddamping, dangle = pair_transition(section.damping, angle)
            dphi[:, own, rows, rows] = section.damping * ddamping
            dphi[:, own + 1, rows, rows] = angle[:, None, None] * dangle


def _driven(functions: FloatArray, system: StateSpace, first: int) -> tuple[FloatArray, FloatArray]:
    """Return F b, shape (m, n), and its derivatives, shape (m, p, n)."""
    slope = np.einsum("mij,pj->mpi", functions[:, 0], system.db)
    slope[:, first:] += functions[:, 1:] @ system.b
    return functions[:, 0] @ system.b, slope


def _alone(level: FloatArray) -> FloatArray:
    return np.stack([level, np.zeros_like(level)], axis=-1)


def _absorb(system: StateSpace, phi: FloatArray, dphi: FloatArray, gamma: FloatArray, dgamma: FloatArray) -> None:
    """Add e d u to the state, with e = cᵀ: then y = c x without a feedthrough."""
    gamma[:, :, 0] -= system.d * (phi @ system.c)
    gamma[:, :, 1] += system.d * system.c
    dgamma[..., 0] -= system.d * (dphi @ system.c) + system.dd[:, None] * (phi @ system.c)[:, None]
    dgamma[..., 1] += system.dd[:, None] * system.c
