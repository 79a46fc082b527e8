# ruff: noqa: D102 (SensorModel says what each method does)
"""Rational: H(s) = (g + b1 s + … + bm sᵐ) / (1 + a1 s + … + an sⁿ), m ≤ n ≤ 6, stable."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import MAX_POLES, ModelKind
from dyncal.models import cascade
from dyncal.models.base import ComplexArray, Discretisation, Hold, SensorModel, StateSpace
from dyncal.models.many_intervals import MANY, interpolated
from dyncal.models.sections import coordinates_of, denominator, sections

MAX_ORDER: Final = MAX_POLES
_NAME: Final = re.compile(r"([ab])[1-6]_s[2-6]?")


class Rational(SensorModel):
    """A ratio of polynomials in s with A(0) = 1; θ = (gain, b1_s, …, a1_s, …), coefficient k in seconds to the k.

    Order 0 is a gain alone: a sensor without dynamics in the band. Internal coordinates are η = (g, β, those of
    `dyncal.models.sections`) with b_k = g a_k β_k: dimensionless, stable whatever they are, and the output is linear in
    g and gβ. Its realisation is `dyncal.models.cascade`.
    """

    kind = ModelKind.RATIONAL

    def __init__(self, n_zeros: int, n_poles: int) -> None:
        if not 0 <= n_zeros <= n_poles <= MAX_ORDER:
            raise InvalidData(
                f"a rational model has at most {MAX_ORDER} poles and no more zeros, not {n_poles} and {n_zeros}"
            )
        self.n_zeros, self.n_poles, self.n_states = n_zeros, n_poles, n_poles
        self.output = (1.0,) + (0.0,) * (max(n_poles, 2) - 1)
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
        _, a = self.polynomials(values)
        # all coefficients of a stable denominator are positive; for orders 1 and 2 this is enough
        stable = bool(np.all(a > 0)) and (self.n_poles < 3 or bool(np.all(self.poles(values).real < 0)))
        if self.n_poles and not stable:
            self._scaled(values)
            raise InvalidData(f"{self.label}: a pole lies on or right of the imaginary axis")
        return values

    def to_internal(self, theta: FloatArray) -> FloatArray:
        """Return η; raise `InvalidData` for an unstable θ, or one without gain where there are zeros."""
        values = self.check_physical(theta)
        b, a = self.polynomials(values)
        if self.n_zeros and values[0] == 0:
            raise InvalidData(f"{self.label}: gain is 0")
        shape = b[1:] / (values[0] * a[1 : b.size]) if self.n_zeros else np.empty(0)
        poles = self.poles(values) if self.n_poles else np.empty(0, np.complex128)
        inner = coordinates_of(a, poles) if self.n_poles else np.empty(0)
        return np.concatenate([values[:1], shape, inner])

    def from_internal(self, eta: FloatArray) -> FloatArray:
        a, _ = denominator(self._split(eta)[1])
        b = eta[0] * eta[1 : self.n_zeros + 1] * a[1 : self.n_zeros + 1]
        return np.concatenate([eta[:1], b, a[1:]])

    def internal_jacobian(self, eta: FloatArray) -> FloatArray:
        shape, inner = self._split(eta)
        a, da = denominator(inner)
        m, first = self.n_zeros, self.n_zeros + 1
        jacobian = np.zeros((eta.size, eta.size))
        jacobian[0, 0] = 1.0
        jacobian[1:first, 0] = shape * a[1:first]
        jacobian[np.arange(1, first), np.arange(1, first)] = eta[0] * a[1:first]
        jacobian[1:first, first:] = eta[0] * shape[:, None] * da[:, 1 : m + 1].T
        jacobian[first:, first:] = da[:, 1:].T
        return jacobian

    def state_space(self, eta: FloatArray) -> StateSpace:
        shape, inner = self._split(eta)
        if self.n_poles:
            return cascade.state_space(float(eta[0]), shape, inner)
        none, square = np.zeros(0), np.zeros((1, 0, 0))
        return StateSpace(square[0], none, none, float(eta[0]), square, square[0].reshape(1, 0), np.ones(1))

    def discretise(self, eta: FloatArray, h_s: FloatArray, hold: Hold = Hold.FIRST) -> Discretisation:
        """Solve the model exactly over intervals h >= 0 [s], with derivatives in η; one state is padded to two."""
        h = np.asarray(h_s, dtype=np.float64)
        if self.n_poles == 0:
            return _gain(float(eta[0]), h.size)
        system, chain = self.state_space(eta), sections(self._split(eta)[1])

        def solve(intervals: FloatArray) -> Discretisation:
            parts = cascade.discretise(system, self.n_zeros + 1, chain, intervals, hold)
            return _padded(parts) if self.n_poles == 1 else parts

        quick = interpolated(solve, h) if h.size > MANY else None
        return quick or solve(h)

    def rest(self, eta: FloatArray) -> FloatArray:
        if self.n_poles == 0:
            return np.array([eta[0], 0.0])
        system = self.state_space(eta)
        state = np.linalg.solve(system.a, -system.b) + system.d * system.c
        return np.append(state, 0.0) if self.n_poles == 1 else state

    def _split(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return β and the coordinates of the denominator."""
        return eta[1 : self.n_zeros + 1], eta[self.n_zeros + 1 :]

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


def _gain(gain: float, m: int) -> Discretisation:
    gamma, dgamma = np.zeros((m, 2, 2)), np.zeros((m, 1, 2, 2))
    gamma[:, 0, 1], dgamma[:, 0, 0, 1] = gain, 1.0
    return Discretisation(np.zeros((m, 2, 2)), gamma, np.zeros((m, 1, 2, 2)), dgamma)


def _padded(parts: Discretisation) -> Discretisation:
    """Add a second state at rest."""
    square, row = ((0, 1), (0, 1)), ((0, 1), (0, 0))
    return Discretisation(
        np.pad(parts.phi, ((0, 0), *square)),
        np.pad(parts.gamma, ((0, 0), *row)),
        np.pad(parts.dphi, ((0, 0), (0, 0), *square)),
        np.pad(parts.dgamma, ((0, 0), (0, 0), *row)),
    )


def _name(letter: str, power: int) -> str:
    return f"{letter}{power}_s" if power == 1 else f"{letter}{power}_s{power}"
