"""Sensor dynamics in continuous time, exact where θ is constant and integrated to about 1e-10 where it drifts.

This is deliberately not `dyncal.models`: what judges an estimator must not share its mistakes.

In state space s' = A(θ) s + b(θ) x, y = c(θ) s + d(θ) x:

- first order: τ s' = x - s, y = g s;
- second order: s1' = s2, s2' = ω0² (x - s1) - 2δω0 s2, y = S0 s1;
- lead-lag: τ1 s1' = x - s1, τ2 s2' = s1 - s2, y = g (τz/τ2 s1 + (1 - τz/τ2) s2);
- rational (g + b1 s + … + bm sᵐ)/(1 + a1 s + … + an sⁿ), m ≤ n: v + a1 v' + … + an v⁽ⁿ⁾ = x, y = g v + b1 v' + …, with
  s = (v, v'/ω, …, v⁽ⁿ⁻¹⁾/ωⁿ⁻¹), ω = an^(-1/n), so that all states are of one size.

These forms say what happens when a parameter changes: the stored heat or deflection s is continuous.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import MAX_POLES, ModelKind
from simulators.physics.characteristic import Characteristic, degree_of
from simulators.physics.measurand import ComplexArray, Multisine

NAMES: Final[dict[ModelKind, tuple[str, ...]]] = {
    ModelKind.FIRST_ORDER: ("gain", "tau_s"),
    ModelKind.SECOND_ORDER: ("gain", "damping", "f0_hz"),
    ModelKind.LEAD_LAG: ("gain", "tau1_s", "tau2_s", "tauz_s"),
}
"""Parameters of the kinds whose number of them is fixed, in order."""

_COEFFICIENT: Final = re.compile(r"([ab])[1-6]_s[2-6]?")


@dataclass(frozen=True, slots=True)
class Rational:
    """A ratio of polynomials: how many coefficients there are above and below, beside the gain."""

    n_zeros: int
    n_poles: int

    def __post_init__(self) -> None:
        if not 0 <= self.n_zeros <= self.n_poles or not 1 <= self.n_poles <= MAX_POLES:
            raise InvalidData(
                f"a rational model has 1 to {MAX_POLES} poles and no more zeros, not {self.n_poles} and {self.n_zeros}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        above, below = range(1, self.n_zeros + 1), range(1, self.n_poles + 1)
        return "gain", *(_name("b", k) for k in above), *(_name("a", k) for k in below)


Form = ModelKind | Rational | Characteristic
"""A kind of dynamics, with the number of its parameters."""


def form_of(kind: ModelKind, given: Collection[str], indications: tuple[float, float] | None = None) -> Form:
    """Return the form of a kind with parameters of the names `given`. Raises `InvalidData` if there is none.

    `indications` is the range over which a static model holds.
    """
    if kind is ModelKind.STATIC:
        if indications is None:
            raise InvalidData("a static model needs indications, the range over which its polynomial holds")
        return Characteristic(degree_of(given), *indications)
    if kind is not ModelKind.RATIONAL:
        return kind
    letters = [match[1] for name in given if (match := _COEFFICIENT.fullmatch(name))]
    return Rational(letters.count("b"), letters.count("a"))


def names_of(form: Form) -> tuple[str, ...]:
    """Return the names of the parameters, in order. Raises `InvalidData` for a kind that is not simulated."""
    if isinstance(form, Rational | Characteristic):
        return form.names
    if form not in NAMES:
        known = ", ".join((*NAMES, ModelKind.RATIONAL, ModelKind.STATIC))
        raise InvalidData(f"no dynamics for model {form}; known are {known}")
    return NAMES[form]


def _name(letter: str, k: int) -> str:
    return f"{letter}{k}_s{k if k > 1 else ''}"


class StateSpace(NamedTuple):
    """A, shape (n, k, k); b and c, shape (n, k); d, shape (n,), for n parameter vectors."""

    a: FloatArray
    b: FloatArray
    c: FloatArray
    d: FloatArray


def state_space(form: Form, theta: FloatArray) -> StateSpace:
    """Return the matrices for vectors `theta`, shape (n, p). Raises `InvalidData` for a kind that has none."""
    if isinstance(form, Characteristic):
        raise InvalidData("a static model has no dynamics")
    names_of(form)
    n = theta.shape[0]
    d = np.zeros(n)
    if isinstance(form, Rational):
        return _rational(form, theta)
    if form is ModelKind.FIRST_ORDER:
        gain, tau = theta.T
        return StateSpace((-1 / tau)[:, None, None], (1 / tau)[:, None], gain[:, None], d)
    a, b, c = np.zeros((n, 2, 2)), np.zeros((n, 2)), np.zeros((n, 2))
    if form is ModelKind.SECOND_ORDER:
        gain, damping, f0_hz = theta.T
        omega = 2 * np.pi * f0_hz
        a[:, 0, 1], a[:, 1, 0], a[:, 1, 1] = 1.0, -(omega**2), -2 * damping * omega
        b[:, 1], c[:, 0] = omega**2, gain
        return StateSpace(a, b, c, d)
    gain, tau1, tau2, tauz = theta.T
    a[:, 0, 0], a[:, 1, 0], a[:, 1, 1] = -1 / tau1, 1 / tau2, -1 / tau2
    b[:, 0] = 1 / tau1
    c[:, 0], c[:, 1] = gain * tauz / tau2, gain * (1 - tauz / tau2)
    return StateSpace(a, b, c, d)


def _rational(form: Rational, theta: FloatArray) -> StateSpace:
    n, k = theta.shape[0], form.n_poles
    above, below = np.zeros((n, k + 1)), np.ones((n, k + 1))
    above[:, : form.n_zeros + 1] = theta[:, : form.n_zeros + 1]
    below[:, 1:] = theta[:, form.n_zeros + 1 :]
    omega = (below[:, -1] ** (-1 / k))[:, None]
    powers = omega ** np.arange(k + 1)
    above, below = above * powers, below * powers  # in the time 1/ω: the last of `below` is 1
    a, b = np.zeros((n, k, k)), np.zeros((n, k))
    a[:, np.arange(k - 1), np.arange(1, k)] = 1.0
    a[:, -1, :] = -below[:, :-1]
    b[:, -1] = 1.0
    d = above[:, -1]
    c = above[:, :-1] - d[:, None] * below[:, :-1]
    return StateSpace(a * omega[:, :, None], b * omega, c, d)


def rate(form: Form, theta: FloatArray) -> float:
    """Return the fastest natural rate of the sensor [rad/s] over the parameter vectors, shape (n, p)."""
    return float(np.max(np.abs(np.linalg.eigvals(state_space(form, theta).a))))


def is_stable(form: Form, theta: FloatArray) -> bool:
    """Tell whether the sensor comes to rest, whichever of the parameter vectors, shape (n, p), it has.

    A static one does if one indication belongs to each measurand.
    """
    if isinstance(form, Characteristic):
        return all(form.is_monotone(row) for row in theta)
    return bool(np.all(np.linalg.eigvals(state_space(form, theta).a).real < 0))


def line_states(form: Form, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
    """Return (iωI - A)⁻¹ b at `f_hz`, shape (n_f, d): the stationary state for a unit sinusoid; `theta`, shape (p,)."""
    a, b, *_ = state_space(form, theta[None, :])
    resolvent = 2j * np.pi * f_hz[:, None, None] * np.eye(a.shape[1]) - a
    states = np.linalg.solve(resolvent, np.broadcast_to(b[0, :, None], (*resolvent.shape[:2], 1)))[..., 0]
    return np.asarray(states, dtype=np.complex128)


def frequency_response(form: Form, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
    """Return H at `f_hz` [Hz], shape (n_f,), for one parameter vector `theta`, shape (p,)."""
    space = state_space(form, theta[None, :])
    response: ComplexArray = line_states(form, theta, f_hz) @ space.c[0] + space.d[0]
    return response


def state_at_rest(form: Form, theta: FloatArray, x: float) -> FloatArray:
    """Return the state, shape (k,), of a sensor that has seen the constant `x` for ever."""
    return np.asarray(line_states(form, theta, np.zeros(1))[0].real * x, np.float64)


def stationary_state(form: Form, theta: FloatArray, source: Multisine, phasors: ComplexArray) -> FloatArray:
    """Return the state, shape (k,), at the instant of `phasors` of a sensor that has seen `source` for ever."""
    moving: FloatArray = (phasors @ line_states(form, theta, source.frequencies_hz)).real
    return state_at_rest(form, theta, source.mean) + moving


_ROOT15: Final = float(np.sqrt(15.0))
_NODES: Final = np.array([0.5 - _ROOT15 / 10, 0.5, 0.5 + _ROOT15 / 10])
_WEIGHTS: Final = np.array([5 / 18, 4 / 9, 5 / 18])
_STAGES: Final = np.array(
    [
        [5 / 36, 2 / 9 - _ROOT15 / 15, 5 / 36 - _ROOT15 / 30],
        [5 / 36 + _ROOT15 / 24, 2 / 9, 5 / 36 - _ROOT15 / 24],
        [5 / 36 + _ROOT15 / 30, 2 / 9 + _ROOT15 / 15, 5 / 36],
    ]
)
MAX_STEP: Final = 0.1  # step times rate; even where a resonance rings long the error stays below 1e-10 of the signal


def integrate(
    form: Form,
    theta_at: Callable[[FloatArray], FloatArray],
    x_at: Callable[[FloatArray], FloatArray],
    state: FloatArray,
    edges_s: FloatArray,
) -> FloatArray:
    """Integrate the state over the steps between `edges_s` by Gauss-Legendre collocation of order six.

    (Hairer, Nørsett & Wanner, *Solving Ordinary Differential Equations I*, II.7: the Kuntzmann-Butcher method.)

    Parameters
    ----------
    theta_at, x_at : callable
        Parameters, shape (n, p), and measurand, shape (n,), at times [s], shape (n,); smooth within every step.
    state : float64, shape (d,)
        At the first edge.
    edges_s : float64, shape (n_steps + 1,), strictly increasing
        Step times the fastest rate must not exceed `MAX_STEP`.

    Returns
    -------
    float64, shape (n_steps + 1, d)
        The state at every edge.
    """
    h = np.diff(edges_s)
    n, d = h.size, state.size
    nodes = (edges_s[:-1, None] + h[:, None] * _NODES).ravel()
    a, b, *_ = state_space(form, theta_at(nodes))
    a = a.reshape(n, 3, d, d)
    forcing = b.reshape(n, 3, d) * x_at(nodes).reshape(n, 3, 1)
    # K_i = A_i (s + h Σ_j a_ij K_j) + f_i: one linear system of 3d unknowns a step, all steps at once.
    coupling = np.einsum("nipq,ij->nipjq", a, _STAGES).reshape(n, 3 * d, 3 * d)
    right = np.concatenate((a.reshape(n, 3 * d, d), forcing.reshape(n, 3 * d, 1)), axis=2)
    slopes = np.linalg.solve(np.eye(3 * d) - h[:, None, None] * coupling, right).reshape(n, 3, d, d + 1)
    steps = h[:, None, None] * np.einsum("i,nipq->npq", _WEIGHTS, slopes)
    out = np.empty((n + 1, d))
    out[0] = state
    for k in range(n):
        out[k + 1] = out[k] + steps[k, :, :d] @ out[k] + steps[k, :, d]
    return out
