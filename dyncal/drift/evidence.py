"""How well one pair's blocks are explained by a change at an instant, by the process, by both: marginal likelihoods.

The blocks' own estimates are θ̂_b = θ0 + w_b d + Σ_j φ_bj B_j + e_b, with e_b ~ N(0, I_b⁻¹): θ0 anything, w_b the
course of a change (a step, or a line from its instant to now), φ_bj what the process did. With d and B_j normal of a
stated size, every likelihood over that of "nothing has happened" is Gaussian, and known in closed form (Kass &
Raftery, J. Am. Stat. Assoc. 90 (1995) 773).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from scipy.stats import chi2

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

SHAPES: Final = 2
"""Courses of a change: a step, and a line."""

_SPANS: Final = (1, 2, 4)
_FEWEST: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Quadratics:
    """Log-likelihood ratios of d as hᵀd - dᵀAd/2: `a` (…, p, p), `h` (…, p)."""

    a: FloatArray
    h: FloatArray

    def marginal(self) -> FloatArray:
        """Return ln ∫ exp(hᵀd - dᵀAd/2) N(d; 0, 1) dd, (…)."""
        eye = np.eye(self.a.shape[-1])
        solved = np.linalg.solve(self.a + eye, self.h[..., None])[..., 0]
        logarithm = (self.h * solved).sum(axis=-1) / 2 - np.linalg.slogdet(self.a + eye)[1] / 2
        return np.asarray(logarithm, dtype=np.float64)

    def loosened(self, slack: FloatArray) -> tuple[Quadratics, FloatArray]:
        """Return the same for a d that blocks meet but for N(0, `slack`) (p, p), and the factor's logarithm (…)."""
        eye = np.eye(self.a.shape[-1])
        inverse = np.linalg.inv(eye + self.a @ slack)
        h = (inverse @ self.h[..., None])[..., 0]
        constant = (self.h * (slack @ h[..., None])[..., 0]).sum(axis=-1) / 2
        factor = np.asarray(constant + np.linalg.slogdet(inverse)[1] / 2)
        return Quadratics(inverse @ self.a, h), factor


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What one pair's blocks say, for m instants of change and s courses; parameters in units of a change expected.

    Attributes
    ----------
    at_ns : int64, shape (n,)
        Last instants of its own blocks but the newest: steps and lines begin there (m = n, s = 2, k = p).
    alone : Quadratics, (m, s, k, k)
        Of a change alone.
    beside : Quadratics, (m, s, k, k)
        Of a change where the process explains what it can, besides.
    process : float
        Logarithm of how much better the process explains the blocks than nothing does.
    """

    at_ns: Int64Array
    alone: Quadratics
    beside: Quadratics
    process: float

    def best(self) -> tuple[Quadratics, float]:
        """Return the better of both for a change anywhere, and the logarithm of its factor."""
        alone, beside = float(self.alone.marginal().max()), float(self.beside.marginal().max()) + self.process
        return (self.beside, self.process) if beside > alone else (self.alone, 0.0)

    def change(self) -> FloatArray:
        """Return the log-likelihood ratio of a change for each instant and course, (m, s), with or without process."""
        half = -np.log(2.0)
        either = np.logaddexp(self.alone.marginal() + half, self.beside.marginal() + self.process + half)
        return np.asarray(either, dtype=np.float64)


Sums = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray, FloatArray]]
"""Of a family of courses: Σ w I (m, s, k, p), Σ w I θ̂ (m, s, k) and Σ w wᵀ I (m, s, k, k), as of `courses_of` and
`Bends.sums`; m instants, s shapes, k heights of a course, p of which for each of its knots."""


def evidence(
    at_ns: Int64Array,
    information: FloatArray,
    vectors: FloatArray,
    phi: FloatArray,
    expected: FloatArray,
    sums_of: Sums | None = None,
) -> Evidence:
    """Return what the blocks of one pair say.

    Parameters
    ----------
    at_ns : int64, shape (n,)
    information : float64, shape (n, p, p)
    vectors : float64, shape (n, p)
        I θ̂ of each block.
    phi : float64, shape (n, q)
        What the process did (`dyncal.drift.process.effects`), of which 1 changes a parameter by `expected`.
    expected : float64, shape (p,)
        Standard deviation of a change of each parameter, in its unit.
    sums_of : callable, optional
        Of other courses than steps and lines from each of `at_ns`.
    """
    of = sums_of or partial(courses_of, at_ns)
    p, q = information.shape[1], phi.shape[1]
    units = information * expected[:, None] * expected
    # θ̂ about its mean: a large common part would cost digits
    total = units.sum(axis=0)
    centre = np.linalg.solve(total, (vectors * expected).sum(axis=0))
    weighted = vectors * expected - units @ centre
    courses, h, squares = of(units, weighted)
    along = np.einsum("nq,nij->nqij", phi, units)
    mixed = np.stack([of(along[:, j], weighted)[0] for j in range(q)], axis=-3)  # (m, s, q, k, p)
    fixed = np.linalg.inv(total)
    a = squares - courses @ fixed @ np.swapaxes(courses, -1, -2)  # and h stays: the mean was taken out
    sums = along.sum(axis=0)
    b = np.einsum("nqij,nr->qirj", along, phi) - np.einsum("qij,jk,rkl->qirl", sums, fixed, sums)
    b = b.reshape(q * p, q * p)
    g = np.einsum("nq,ni->qi", phi, weighted).reshape(q * p)
    cross = mixed - np.einsum("...ij,jk,qkl->...qil", courses, fixed, sums)
    cross = np.moveaxis(cross, -3, -2).reshape(*h.shape, q * p)
    process = Quadratics(b, g)
    inner = np.linalg.inv(b + np.eye(q * p))
    rest = Quadratics(a - cross @ inner @ np.swapaxes(cross, -1, -2), h - cross @ inner @ g)
    return Evidence(at_ns[:-1], Quadratics(a, h), rest, float(process.marginal()))


def scatter(information: FloatArray, vectors: FloatArray) -> float:
    """Return by how much blocks scatter more than they claim, in variance, also over several of them; at least 1.

    By the lower quartile of squared differences of neighbouring means over 1 to 4 blocks: what grows slowly does not
    count, and neither do some steps.
    """
    n, p = vectors.shape
    found = 1.0
    for span in _SPANS:
        m = n // span
        if m < _FEWEST:
            break
        inverse = np.linalg.inv(information[: m * span].reshape(m, span, p, p).sum(axis=1))
        means = (inverse @ vectors[: m * span].reshape(m, span, p).sum(axis=1)[..., None])[..., 0]
        difference = np.diff(means, axis=0)
        squares = np.einsum("ni,nij,nj->n", difference, np.linalg.inv(inverse[1:] + inverse[:-1]), difference)
        found = max(found, float(np.quantile(squares, 0.25)) / float(chi2.ppf(0.25, p)))
    return found


def courses_of(at_ns: Int64Array, units: FloatArray, weighted: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return Σ w I (n - 1, 2, p, p), Σ w I θ̂ (n - 1, 2, p) and Σ w² I for a change after each block but the last."""
    span = max(float(at_ns[-1] - at_ns[0]), 1.0)
    t = (at_ns - at_ns[0]) / span
    begin = t[:-1, None, None]
    rest = np.maximum(1 - begin, 1e-12)

    def after(values: FloatArray) -> FloatArray:
        return np.cumsum(values[::-1], axis=0)[::-1][1:]

    one, first, second = (after(units * t[:, None, None] ** k) for k in range(3))
    line = (first - begin * one) / rest
    line_squares = (second - 2 * begin * first + begin**2 * one) / rest**2
    v_one, v_first = (after(weighted * t[:, None] ** k) for k in range(2))
    v_line = (v_first - begin[:, 0] * v_one) / rest[:, 0]
    return (
        np.stack((one, line), axis=1),
        np.stack((v_one, v_line), axis=1),
        np.stack((one, line_squares), axis=1),
    )
