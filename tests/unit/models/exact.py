"""Indications to forty digits, by partial fractions or the companion form: shares nothing with the models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mpmath import mp, mpf

from dyncal.domain.samples import FloatArray
from dyncal.models import Hold

mp.dps = 40
Polynomials = Callable[[list[Any]], tuple[list[Any], list[Any], Any]]
STEP = mpf(10) ** -20


def second_order(theta: list[Any]) -> tuple[list[Any], list[Any], Any]:
    gain, damping, f0 = theta
    w = 2 * mp.pi * f0
    return [gain], [mpf(1), 2 * damping / w, 1 / w**2], mpf(0)


def first_order(theta: list[Any]) -> tuple[list[Any], list[Any], Any]:
    return [theta[0]], [mpf(1), theta[1]], mpf(0)


def lead_lag(theta: list[Any]) -> tuple[list[Any], list[Any], Any]:
    gain, tau1, tau2, tauz = theta
    return [gain, gain * tauz], [mpf(1), tau1 + tau2, tau1 * tau2], mpf(0)


def rational(n_zeros: int) -> Polynomials:
    def polynomials(theta: list[Any]) -> tuple[list[Any], list[Any], Any]:
        return theta[: n_zeros + 1], [mpf(1), *theta[n_zeros + 1 :]], mpf(0)

    return polynomials


def delayed(inner: Polynomials) -> Polynomials:
    def polynomials(theta: list[Any]) -> tuple[list[Any], list[Any], Any]:
        b, a, _ = inner(theta[:-1])
        return b, a, theta[-1]

    return polynomials


def indication(
    polynomials: Polynomials, theta: Sequence[Any], steps_ns: Sequence[int], u: FloatArray, hold: Hold
) -> Any:
    """Return y at all instants as a list of mpf, from rest."""
    b, a, delay = polynomials([mpf(value) for value in theta])
    n = len(a) - 1
    values = [mpf(float(value)) for value in u]
    at = [mpf(int(t)) / 10**9 for t in [0, *np.cumsum(steps_ns)]]
    b = b + [mpf(0)] * (n + 1 - len(b))
    d = b[n] / a[n]
    modes = Modes(a, [b[k] - d * a[k] for k in range(n)]) if n and distinct(a) else Companion(a, b)
    states = [modes.rest(values[0])]
    segments = [
        (at[k], states, values[k], (values[k + 1] - values[k]) / (at[k + 1] - at[k]) if hold is Hold.FIRST else mpf(0))
        for k in range(len(values) - 1)
    ]
    for k, (_, _, level, slope) in enumerate(segments):
        states.append(modes.moved(states[-1], mpf(int(steps_ns[k])) / 10**9, level, slope))
    result = []
    for t in at:
        late = t - delay
        if late < 0:
            state, measurand = states[0], values[0]
        else:
            k = max(j for j in range(len(at)) if at[j] <= late)
            if k == len(segments):
                state, measurand = states[k], values[k]
            else:
                t0, _, level, slope = segments[k]
                state = modes.moved(states[k], late - t0, level, slope)
                measurand = level + slope * (late - t0)
        result.append(modes.output(state) + d * measurand)
    return result


def derivatives(
    polynomials: Polynomials, theta: FloatArray, steps_ns: Sequence[int], u: FloatArray, hold: Hold
) -> FloatArray:
    """Return ∂y/∂θ, shape (N, p), by differences of 10⁻²⁰."""
    columns = []
    for i in range(theta.size):
        up, down = ([mpf(value) for value in theta] for _ in range(2))
        step = STEP * max(abs(mpf(theta[i])), mpf("1e-9"))
        up[i], down[i] = up[i] + step, down[i] - step
        high = indication(polynomials, up, steps_ns, u, hold)
        low = indication(polynomials, down, steps_ns, u, hold)
        columns.append([float((x - y) / (2 * step)) for x, y in zip(high, low, strict=True)])
    return np.array(columns).T


def distinct(a: list[Any]) -> bool:
    n = len(a) - 1
    w = 1 / mp.root(a[n], n)
    roots = np.roots([float(a[k] * w**k) for k in reversed(range(n + 1))])
    return n < 2 or min(abs(x / y - 1) for i, x in enumerate(roots) for y in roots[:i]) > 1e-2


def _value(coefficients: list[Any], s: Any) -> Any:
    return mp.fsum(c * s**k for k, c in enumerate(coefficients))


class Modes:
    """Partial fractions, for distinct poles."""

    def __init__(self, a: list[Any], r: list[Any]) -> None:
        n = len(a) - 1
        w = 1 / mp.root(a[n], n)
        scaled = [a[k] * w**k for k in range(n + 1)]
        self.poles = [w * root for root in mp.polyroots(scaled, maxsteps=500, extraprec=400, asc=True)]
        slope = [k * a[k] for k in range(1, n + 1)]
        self.residues = [_value(r, pole) / _value(slope, pole) for pole in self.poles]

    def rest(self, level: Any) -> Any:
        return [-level / pole for pole in self.poles]

    def output(self, state: Any) -> Any:
        return mp.re(mp.fsum(r * x for r, x in zip(self.residues, state, strict=True)))

    def moved(self, state: Any, h: Any, level: Any, slope: Any) -> Any:
        result = []
        for pole, x in zip(self.poles, state, strict=True):
            grown = mp.expm1(pole * h)
            ramp = (grown - pole * h) / pole**2
            result.append(x * (grown + 1) + level * grown / pole + slope * ramp)
        return result


class Companion:
    """Matrix exponentials of the companion form, for any poles."""

    def __init__(self, a: list[Any], b: list[Any]) -> None:
        n = len(a) - 1
        d = b[n] / a[n]
        self.a, self.c = a, [(b[k] - d * a[k]) / a[n] for k in range(n)]
        self.exponentials: dict[Any, Any] = {}

    def rest(self, level: Any) -> Any:
        return [self.a[-1] * level] + [mpf(0)] * (len(self.c) - 1)

    def output(self, state: Any) -> Any:
        return mp.fsum(c * x for c, x in zip(self.c, state, strict=False))

    def moved(self, state: Any, h: Any, level: Any, slope: Any) -> Any:
        a, n = self.a, len(self.c)
        if n == 0 or h == 0:
            return state
        # time in units of |a_n|^(1/n), or the exponential needs thousands of terms
        w = 1 / mp.root(a[n], n)
        if h not in self.exponentials:
            m = mp.matrix(n + 2, n + 2)
            for k in range(n - 1):
                m[k, k + 1] = h * w
            for k in range(n):
                m[n - 1, k] = -h * w * a[k] * w**k / (a[n] * w**n)
            m[n - 1, n] = h * w
            m[n, n + 1] = mpf(1)
            self.exponentials[h] = mp.expm(m, method="pade")
        # derivatives of the partial state in scaled time, and so that the last has unit forcing
        x = mp.matrix([state[k] * w ** (n - k) for k in range(n)] + [level, slope * h])
        moved = self.exponentials[h] * x
        return [moved[k] * w ** (k - n) for k in range(n)]
