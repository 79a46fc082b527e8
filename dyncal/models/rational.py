# ruff: noqa: D102 (ResponseModel says what each method does)
"""Rational: H(s) = (g + b1 s + … + bm sᵐ) / (1 + a1 s + … + an sⁿ), m ≤ n ≤ 6, stable."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import Int64Array
from dyncal.models.base import ComplexArray, Hold, ResponseModel
from dyncal.models.exponential import exponential

MAX_ORDER: Final = 6
_NAME: Final = re.compile(r"([ab])[1-6]_s[2-6]?")


@dataclass(frozen=True, slots=True, eq=False)
class RationalIntervals:
    """The exact solution over m intervals: ``x₊ = Φ x + Γ0 u + Γ1 u₊``, ``y = c x + d u``, n states.

    At rest with the measurand 1 the state is (αn, 0, …), αn = 1.

    Attributes
    ----------
    phi : float64, shape (m, n, n)
    gamma : float64, shape (m, n, 2)
        Columns Γ0 and Γ1.
    output : float64, shape (n,)
    feedthrough : float
    dphi, dgamma : float64, shapes (m, p, n, n) and (m, p, n, 2)
        Derivatives with respect to θ; empty (p = 0) where they were not asked for.
    doutput, dfeedthrough : float64, shapes (p, n) and (p,)
    """

    phi: FloatArray
    gamma: FloatArray
    output: FloatArray
    feedthrough: float
    dphi: FloatArray
    dgamma: FloatArray
    doutput: FloatArray
    dfeedthrough: FloatArray


class Rational(ResponseModel):
    """A ratio of polynomials in s with A(0) = 1; θ = (gain, b1_s, …, a1_s, …), coefficient k in seconds to the k.

    Order 0 is a gain alone: a sensor without dynamics in the band.

    The state is that of the controllable canonical form in the scaled time w t, w = |an|^(-1/n), which gives the
    companion matrix a last coefficient of 1; w is a constant of the realisation, not differentiated.
    """

    kind = ModelKind.RATIONAL

    def __init__(self, n_zeros: int, n_poles: int) -> None:
        if not 0 <= n_zeros <= n_poles <= MAX_ORDER:
            raise InvalidData(
                f"a rational model has at most {MAX_ORDER} poles and no more zeros, not {n_poles} and {n_zeros}"
            )
        self.n_zeros, self.n_poles = n_zeros, n_poles
        self.names = (
            "gain",
            *(_name("b", k) for k in range(1, n_zeros + 1)),
            *(_name("a", k) for k in range(1, n_poles + 1)),
        )

    @classmethod
    def of_names(cls, names: tuple[str, ...]) -> Rational:
        """Return the rational model whose parameters have these names; raise `InvalidData` if there is none."""
        letters = [found[1] for found in map(_NAME.fullmatch, names[1:]) if found]
        model = cls(letters.count("b"), letters.count("a"))
        if model.names != tuple(names):
            raise InvalidData(f"{', '.join(names)} are not the parameters of a rational model: gain, b1_s, …, a1_s, …")
        return model

    @property
    def label(self) -> str:
        return f"rational {self.n_zeros}/{self.n_poles}"

    def polynomials(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the coefficients of B, shape (m + 1,), and A, shape (n + 1,), lowest power first."""
        values = self.check(theta)
        return values[: self.n_zeros + 1], np.concatenate([[1.0], values[self.n_zeros + 1 :]])

    def frequency_response(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        b, a = self.polynomials(theta)
        powers = self._powers(f_hz)
        return np.asarray((powers[:, : b.size] @ b) / (powers @ a), dtype=np.complex128)

    def jacobian(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        b, a = self.polynomials(theta)
        powers = self._powers(f_hz)
        denominator = powers @ a
        h = (powers[:, : b.size] @ b) / denominator
        columns = np.concatenate([powers[:, : b.size], -h[:, None] * powers[:, 1:]], axis=1)
        return np.asarray(columns / denominator[:, None], dtype=np.complex128)

    def poles(self, theta: FloatArray) -> ComplexArray:
        """Return the poles [rad/s], shape (n,)."""
        alpha, w = self._scaled(theta)
        return np.asarray(np.roots(alpha[::-1]) * w, dtype=np.complex128)

    def check_physical(self, theta: FloatArray) -> FloatArray:
        values = self.check(theta)
        if self.n_poles and not bool(np.all(self.poles(values).real < 0)):
            raise InvalidData(f"{self.label}: a pole lies on or right of the imaginary axis")
        return values

    def discretise(
        self, theta: FloatArray, h_s: FloatArray, hold: Hold = Hold.FIRST, *, derivatives: bool = False
    ) -> RationalIntervals:
        """Solve the model exactly over intervals h [s], shape (m,), with derivatives in θ if asked for.

        Φ and Γ are blocks of one matrix exponential (Van Loan, IEEE Trans. Autom. Control 23 (1978) 395), and so are
        their derivatives: exp [[M, Ṁ], [0, M]] has d exp(M) in its corner.

        Raises
        ------
        InvalidData
            If θ is not stable.
        """
        values = self.check_physical(theta)
        alpha, w = self._scaled(values)
        n, q = self.n_poles, np.asarray(h_s, dtype=np.float64) * w
        phi, gamma = self._blocks(exponential(self._generator(alpha, q)), hold)
        output, feedthrough = self._output(values, alpha, w)
        if not derivatives:
            none = np.zeros
            return RationalIntervals(
                phi, gamma, output, feedthrough, none((q.size, 0, n, n)), none((q.size, 0, n, 2)), none((0, n)), none(0)
            )
        dphi, dgamma = self._interval_derivatives(alpha, w, q, hold)
        doutput, dfeedthrough = self._output_derivatives(values, alpha, w)
        return RationalIntervals(phi, gamma, output, feedthrough, dphi, dgamma, doutput, dfeedthrough)

    def simulate_steps(
        self, theta: FloatArray, steps: Int64Array, ticks_per_s: int, u: FloatArray, hold: Hold
    ) -> FloatArray:
        intervals, index = np.unique(steps, return_inverse=True)
        parts = self.discretise(theta, intervals / ticks_per_s, hold)
        forced = np.einsum("kij,kj->ki", parts.gamma[index], np.stack([u[:-1], u[1:]], axis=1))
        states = np.zeros((u.size, self.n_poles))
        if self.n_poles:
            states[0, 0] = u[0]
        for k, step in enumerate(index.tolist()):
            states[k + 1] = parts.phi[step] @ states[k] + forced[k]
        indication: FloatArray = states @ parts.output + parts.feedthrough * u
        return indication

    def _powers(self, f_hz: FloatArray) -> ComplexArray:
        s = 2j * np.pi * np.asarray(f_hz, dtype=np.float64)
        return np.asarray(s[:, None] ** np.arange(self.n_poles + 1), dtype=np.complex128)

    def _scaled(self, theta: FloatArray) -> tuple[FloatArray, float]:
        """Return α_k = a_k wᵏ with |α_n| = 1, and w [rad/s]."""
        _, a = self.polynomials(theta)
        if self.n_poles == 0:
            return a, 1.0
        if a[-1] == 0:
            raise InvalidData(f"{self.label}: {self.names[-1]} is 0, so that the order is lower")
        w = float(abs(a[-1]) ** (-1 / self.n_poles))
        return a * w ** np.arange(a.size), w

    def _generator(self, alpha: FloatArray, q: FloatArray) -> FloatArray:
        """Return the generators of (state, measurand, its rise over the interval) for scaled intervals q."""
        n = self.n_poles
        m = np.zeros((q.size, n + 2, n + 2))
        m[:, n, n + 1] = 1.0
        if n:
            m[:, np.arange(n - 1), np.arange(1, n)] = q[:, None]
            m[:, n - 1, :n] = -q[:, None] * alpha[:-1] / alpha[-1]
            m[:, n - 1, n] = q
        return m

    def _blocks(self, exponentials: FloatArray, hold: Hold) -> tuple[FloatArray, FloatArray]:
        n = self.n_poles
        level, slope = exponentials[..., :n, n], exponentials[..., :n, n + 1]
        if hold is Hold.ZERO:
            slope = np.zeros_like(slope)
        return exponentials[..., :n, :n], np.stack([level - slope, slope], axis=-1)

    def _output(self, theta: FloatArray, alpha: FloatArray, w: float) -> tuple[FloatArray, float]:
        b, _ = self.polynomials(theta)
        beta = np.zeros(self.n_poles + 1)
        beta[: b.size] = b * w ** np.arange(b.size)
        d = float(beta[-1] / alpha[-1])
        return (beta - d * alpha)[:-1] / alpha[-1], d

    def _interval_derivatives(
        self, alpha: FloatArray, w: float, q: FloatArray, hold: Hold
    ) -> tuple[FloatArray, FloatArray]:
        n, size = self.n_poles, self.n_poles + 2
        m = self._generator(alpha, q)
        both = np.zeros((q.size, n, 2 * size, 2 * size))
        both[:, :, :size, :size] = both[:, :, size:, size:] = m[:, None]
        for k in range(1, n):
            both[:, k - 1, n - 1, size + k] = -q
        if n:  # αn is 1: only its derivative remains
            both[:, n - 1, n - 1, size : size + n] = q[:, None] * alpha[:-1]
        dphi = np.zeros((q.size, self.n_parameters, n, n))
        dgamma = np.zeros((q.size, self.n_parameters, n, 2))
        # in αk first: a generator whose corner is as large as wᵏ would be squared far too often
        corner = exponential(both)[:, :, :size, size:] * (w ** np.arange(1.0, n + 1))[:, None, None]
        first = self.n_zeros + 1
        dphi[:, first:], dgamma[:, first:] = self._blocks(corner, hold)
        return dphi, dgamma

    def _output_derivatives(self, theta: FloatArray, alpha: FloatArray, w: float) -> tuple[FloatArray, FloatArray]:
        n, first = self.n_poles, self.n_zeros + 1
        output, d = self._output(theta, alpha, w)
        doutput, dd = np.zeros((self.n_parameters, n)), np.zeros(self.n_parameters)
        for k in range(first):
            if k < n:
                doutput[k, k] = w**k
            else:
                dd[k], doutput[k] = w**k, -alpha[:-1] * w**k
        for k in range(1, n + 1):
            i, dalpha = first + k - 1, w**k
            if k < n:
                doutput[i, k] = -d * dalpha
            else:
                dd[i] = -d * dalpha
                doutput[i] = -dd[i] * alpha[:-1] - output * dalpha
        return doutput, dd


def _name(letter: str, power: int) -> str:
    return f"{letter}{power}_s" if power == 1 else f"{letter}{power}_s{power}"
