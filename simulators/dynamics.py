"""Sensor dynamics in continuous time, exact where θ is constant and integrated to about 1e-10 where it drifts.

This is deliberately not `dyncal.models`: what judges an estimator must not share its mistakes.

In state space s' = A(θ) s + b(θ) x, y = c(θ) s:

- first order: τ s' = x - s, y = g s;
- second order: s1' = s2, s2' = ω0² (x - s1) - 2δω0 s2, y = S0 s1;
- lead-lag: τ1 s1' = x - s1, τ2 s2' = s1 - s2, y = g (τz/τ2 s1 + (1 - τz/τ2) s2).

These forms say what happens when a parameter changes: the stored heat or deflection s is continuous.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from simulators.measurand import ComplexArray, Multisine

NAMES: Final[dict[ModelKind, tuple[str, ...]]] = {
    ModelKind.FIRST_ORDER: ("gain", "tau_s"),
    ModelKind.SECOND_ORDER: ("gain", "damping", "f0_hz"),
    ModelKind.LEAD_LAG: ("gain", "tau1_s", "tau2_s", "tauz_s"),
}
"""Parameters of every kind that can be simulated, in order."""


class StateSpace(NamedTuple):
    """A, shape (n, d, d); b, shape (n, d); c, shape (n, d), for n parameter vectors."""

    a: FloatArray
    b: FloatArray
    c: FloatArray


def state_space(kind: ModelKind, theta: FloatArray) -> StateSpace:
    """Return the matrices for parameter vectors `theta`, shape (n, p). Raises `InvalidData` for an unknown kind."""
    if kind not in NAMES:
        raise InvalidData(f"no dynamics for model {kind}; known are {', '.join(NAMES)}")
    n = theta.shape[0]
    if kind is ModelKind.FIRST_ORDER:
        gain, tau = theta.T
        return StateSpace((-1 / tau)[:, None, None], (1 / tau)[:, None], gain[:, None])
    a, b, c = np.zeros((n, 2, 2)), np.zeros((n, 2)), np.zeros((n, 2))
    if kind is ModelKind.SECOND_ORDER:
        gain, damping, f0_hz = theta.T
        omega = 2 * np.pi * f0_hz
        a[:, 0, 1], a[:, 1, 0], a[:, 1, 1] = 1.0, -(omega**2), -2 * damping * omega
        b[:, 1], c[:, 0] = omega**2, gain
        return StateSpace(a, b, c)
    gain, tau1, tau2, tauz = theta.T
    a[:, 0, 0], a[:, 1, 0], a[:, 1, 1] = -1 / tau1, 1 / tau2, -1 / tau2
    b[:, 0] = 1 / tau1
    c[:, 0], c[:, 1] = gain * tauz / tau2, gain * (1 - tauz / tau2)
    return StateSpace(a, b, c)


def rate(kind: ModelKind, theta: FloatArray) -> float:
    """Return the fastest natural rate of the sensor [rad/s] over the parameter vectors, shape (n, p)."""
    a = state_space(kind, theta).a
    return float(np.max(np.abs(np.linalg.eigvals(a))))


def line_states(kind: ModelKind, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
    """Return (iωI - A)⁻¹ b at `f_hz`, shape (n_f, d): the stationary state for a unit sinusoid; `theta`, shape (p,)."""
    a, b, _ = state_space(kind, theta[None, :])
    resolvent = 2j * np.pi * f_hz[:, None, None] * np.eye(a.shape[1]) - a
    states = np.linalg.solve(resolvent, np.broadcast_to(b[0, :, None], (*resolvent.shape[:2], 1)))[..., 0]
    return np.asarray(states, dtype=np.complex128)


def frequency_response(kind: ModelKind, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
    """Return H at `f_hz` [Hz], shape (n_f,), for one parameter vector `theta`, shape (p,)."""
    response: ComplexArray = line_states(kind, theta, f_hz) @ state_space(kind, theta[None, :]).c[0]
    return response


def stationary_state(kind: ModelKind, theta: FloatArray, source: Multisine, phasors: ComplexArray) -> FloatArray:
    """Return the state, shape (d,), at the instant of `phasors` of a sensor that has seen `source` for ever."""
    constant = line_states(kind, theta, np.zeros(1))[0].real * source.mean
    state: FloatArray = constant + (phasors @ line_states(kind, theta, source.frequencies_hz)).real
    return state


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
MAX_STEP: Final = 0.2  # step times rate; the error of the sixth-order rule is then below 1e-10 of the signal


def integrate(
    kind: ModelKind,
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
    a, b, _ = state_space(kind, theta_at(nodes))
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
