"""The compiled part of a spectrum's fit: the Whittle likelihood of a periodogram, and the way to its minimum.

With P the periodogram, averaged, and F what is expected of it, per bin, folds being what is sampled into it::

    -ln L = Σ ln F + P/F + ((ln R - ln R̄)² τ)/2,    F = S0 Σ_folds |H|²/dt 1/(1 + (ω/ω_B)^(2m)) + R

in p = (ln S0, ln ω_B, m, ln R); τ, over the averages, is how far a stated noise R̄ is believed, 0 where none is stated.
Fisher scoring, damped (Levenberg, Q. Appl. Math. 2 (1944) 164), on the parameters that are not held at a bound.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.kernels import kernel

N: Final = 4
"""Parameters."""

_MOST_STEPS = 100
_LONGEST_STEP = 2.0
_STUCK = 1e8
_CONVERGED = 1e-7  # change of the negative log-likelihood
_TOGETHER = 4  # factors of up to 1e41, by the bounds of ln S0 and a power of 1e6: their product is a number
_SAME = 0.02  # of a minimum that is known, in each parameter: no other one that is there would be another spectrum


@kernel()
def _shape(log_omega: FloatArray, corner: float, order: float, shape: FloatArray) -> None:
    """Write 1/(1 + (ω/ω_B)^(2m)), of any size, without overflow."""
    for i in range(shape.shape[0]):
        for k in range(shape.shape[1]):
            beyond = 2 * order * (log_omega[i, k] - corner)
            small = math.exp(-abs(beyond))
            shape[i, k] = (small if beyond > 0 else 1.0) / (1 + small)


@kernel()
def _value(
    p: FloatArray, shape: FloatArray, power: FloatArray, periodogram: FloatArray, noise: float, trust: float
) -> float:
    """Return the negative log-likelihood over the averages."""
    density, floor, total, product = math.exp(p[0]), math.exp(p[3]), 0.0, 1.0
    for k in range(periodogram.size):
        seen = shape[0, k] * power[0, k]
        for i in range(1, shape.shape[0]):
            seen += shape[i, k] * power[i, k]
        expected = density * seen + floor
        total += periodogram[k] / expected
        product *= expected
        if k % _TOGETHER == _TOGETHER - 1:  # one logarithm for several bins
            total += math.log(product)
            product = 1.0
    total += math.log(product)
    away: float = p[3] - noise
    return total + 0.5 * trust * away * away


@kernel()
def _derivatives(
    p: FloatArray, shape: FloatArray, power: FloatArray, log_omega: FloatArray, periodogram: FloatArray,
    noise: float, trust: float, gradient: FloatArray, information: FloatArray,
) -> None:  # fmt: skip
    """Write the gradient (4,) and the expected information Σ ∂lnF ∂lnFᵀ, (4, 4)."""
    density, corner, order, floor = math.exp(p[0]), p[1], p[2], math.exp(p[3])
    # in variables, not arrays, of which the compiler cannot know that they do not lie over each other
    g0 = g1 = g2 = g3 = i00 = i10 = i11 = i20 = i21 = i22 = i30 = i31 = i32 = i33 = 0.0
    for k in range(periodogram.size):
        level, slopes, bends = 0.0, 0.0, 0.0
        for i in range(shape.shape[0]):
            seen = density * shape[i, k] * power[i, k]
            slope = 2 * seen * (1 - shape[i, k])  # ∂/∂ln ω_B, over m
            level += seen
            slopes += slope
            bends += slope * (log_omega[i, k] - corner)
        expected = level + floor
        m0, m1, m2, m3 = level / expected, order * slopes / expected, -bends / expected, floor / expected
        missing = 1 - periodogram[k] / expected
        g0, g1, g2, g3 = g0 + m0 * missing, g1 + m1 * missing, g2 + m2 * missing, g3 + m3 * missing
        i00, i10, i11 = i00 + m0 * m0, i10 + m1 * m0, i11 + m1 * m1
        i20, i21, i22 = i20 + m2 * m0, i21 + m2 * m1, i22 + m2 * m2
        i30, i31, i32, i33 = i30 + m3 * m0, i31 + m3 * m1, i32 + m3 * m2, i33 + m3 * m3
    gradient[0], gradient[1], gradient[2], gradient[3] = g0, g1, g2, g3 + trust * (p[3] - noise)
    information[0, 0], information[1, 1], information[2, 2], information[3, 3] = i00, i11, i22, i33 + trust
    information[1, 0] = information[0, 1] = i10
    information[2, 0] = information[0, 2] = i20
    information[2, 1] = information[1, 2] = i21
    information[3, 0] = information[0, 3] = i30
    information[3, 1] = information[1, 3] = i31
    information[3, 2] = information[2, 3] = i32


@kernel()
def _step(gradient: FloatArray, information: FloatArray, held: FloatArray, damping: float, step: FloatArray) -> None:
    """Write the damped step (4,): 0 for what is held, by Cholesky's root of the others' unit information."""
    scale, root = np.empty(N), np.zeros((N, N))
    for i in range(N):
        scale[i] = 1 / np.sqrt(max(information[i, i], 1e-12))
    for i in range(N):
        for j in range(i + 1):
            if i == j:
                left = 1.0 if held[i] else information[i, i] * scale[i] ** 2 + damping
            else:
                left = 0.0 if held[i] or held[j] else information[i, j] * scale[i] * scale[j]
            for k in range(j):
                left -= root[i, k] * root[j, k]
            root[i, j] = np.sqrt(max(left, 1e-15)) if i == j else left / root[j, j]
    for i in range(N):
        step[i] = 0.0 if held[i] else -gradient[i] * scale[i]
        for k in range(i):
            step[i] -= root[i, k] * step[k]
        step[i] /= root[i, i]
    for i in range(N - 1, -1, -1):
        for k in range(i + 1, N):
            step[i] -= root[k, i] * step[k]
        step[i] /= root[i, i]
    for i in range(N):
        step[i] *= scale[i]


@kernel()
def _near(p: FloatArray, known: FloatArray) -> bool:
    away = 0.0
    for i in range(N):
        away = max(away, abs(p[i] - known[i]))
    return away <= _SAME


@kernel("f8(f8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[::1], f8, f8)")
def descend(
    p: FloatArray, bounds: FloatArray, power: FloatArray, log_omega: FloatArray, periodogram: FloatArray,
    noise: float, trust: float,
) -> float:  # fmt: skip
    """Go from p, (4,), to the minimum near it, and return the negative log-likelihood there.

    Parameters
    ----------
    p : float64, shape (4,)
        In and out.
    bounds : float64, shape (4, 2)
    power, log_omega : float64, shape (folds, n)
        |H|²/dt and ln ω.
    periodogram : float64, shape (n,)
    noise, trust : float
        ln R̄ and τ.
    """
    return _descend(p, bounds, power, log_omega, periodogram, noise, trust, p, np.inf)


@kernel()
def _descend(
    p: FloatArray, bounds: FloatArray, power: FloatArray, log_omega: FloatArray, periodogram: FloatArray,
    noise: float, trust: float, known: FloatArray, least: float,
) -> float:  # fmt: skip
    """Do as `descend`, but end where a minimum comes near that is `known` and has the value `least`; infinite: none."""
    shape, there_shape = np.empty(power.shape), np.empty(power.shape)
    gradient, information, step = np.empty(N), np.empty((N, N)), np.empty(N)
    there, held, damping = np.empty(N), np.empty(N), 1e-3
    _shape(log_omega, p[1], p[2], shape)
    value = _value(p, shape, power, periodogram, noise, trust)
    for _ in range(_MOST_STEPS):
        _derivatives(p, shape, power, log_omega, periodogram, noise, trust, gradient, information)
        for i in range(N):
            low, high = bounds[i, 0], bounds[i, 1]
            held[i] = (p[i] <= low and gradient[i] > 0) or (p[i] >= high and gradient[i] < 0)
        _step(gradient, information, held, damping, step)
        for i in range(N):
            reach = min(max(step[i], -_LONGEST_STEP), _LONGEST_STEP)
            there[i] = min(max(p[i] + reach, bounds[i, 0]), bounds[i, 1])
        _shape(log_omega, there[1], there[2], there_shape)
        now = _value(there, there_shape, power, periodogram, noise, trust)
        if now < value:
            done = value - now < _CONVERGED
            p[:], shape[:], value = there, there_shape, now
            damping = max(damping / 10, 1e-6)
            if done or (value >= least and _near(p, known)):
                break
        else:
            damping = max(10 * damping, 1e-3)
            if damping > _STUCK:
                break
    return value


@kernel("f8(f8[::1], f8[:, ::1], f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[:, ::1], f8[::1], f8, f8, i8)")
def minimise(
    p: FloatArray, bounds: FloatArray, starts: FloatArray, shapes: FloatArray, power: FloatArray,
    log_omega: FloatArray, periodogram: FloatArray, noise: float, trust: float, n_refined: int,
) -> float:  # fmt: skip
    """Find the best parameters from the best of a grid of starts; return the negative log-likelihood there.

    Parameters
    ----------
    p : float64, shape (4,)
        On return; p[3] is ln R to begin with.
    bounds : float64, shape (4, 2)
    starts : float64, shape (s, 2)
        ln ω_B and m.
    shapes : float64, shape (s, folds, n)
        1/(1 + (ω/ω_B)^(2m)) there.
    power, log_omega, periodogram, noise, trust
        As for `descend`.
    n_refined : int
        How many of the best are followed down, as long as they do not come to a minimum that is known.
    """
    total, values, begun = 0.0, np.empty(starts.shape[0]), np.empty((starts.shape[0], N))
    for k in range(periodogram.size):
        total += periodogram[k]
    for s in range(starts.shape[0]):
        seen = 0.0
        for i in range(power.shape[0]):
            for k in range(power.shape[1]):
                seen += shapes[s, i, k] * power[i, k]
        density = np.log(max(total, 1e-30) / max(seen, 1e-30))
        begun[s, 0] = min(max(density, bounds[0, 0] + 1), bounds[0, 1] - 1)
        begun[s, 1], begun[s, 2], begun[s, 3] = starts[s, 0], starts[s, 1], p[3]
        values[s] = _value(begun[s], shapes[s], power, periodogram, noise, trust)
    best, order = np.inf, np.argsort(values, kind="mergesort")
    for s in order[:n_refined]:
        value = _descend(begun[s], bounds, power, log_omega, periodogram, noise, trust, p, best)
        if value < best or s == order[0]:
            p[:], best = begun[s], value
    return best
