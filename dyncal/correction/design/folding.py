"""Compiled sums over what is folded into the bins of a periodogram, in the order in which numpy adds rows."""

from __future__ import annotations

from dyncal.domain.samples import FloatArray
from dyncal.kernels import kernel


@kernel("void(f8, f8, f8[:, ::1], f8[:, ::1], f8[::1])")
def fold(density: float, noise: float, shape: FloatArray, power: FloatArray, expected: FloatArray) -> None:
    """Write the periodogram to be expected, (n,): ``S0 Σ_folds shape |H|²/dt + R``; NaN stays where it is.

    Parameters
    ----------
    density, noise : float
        S0 and R.
    shape, power : float64, shape (folds, n)
    expected : float64, shape (n,)
    """
    for k in range(expected.size):
        total = shape[0, k] * power[0, k]
        for i in range(1, shape.shape[0]):
            total += shape[i, k] * power[i, k]
        expected[k] = density * total + noise


@kernel("void(f8, f8, f8, f8, f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[::1])")
def fold_moves(
    density: float, corner: float, order: float, noise: float,
    shape: FloatArray, power: FloatArray, log_omega: FloatArray, moves: FloatArray, expected: FloatArray,
) -> None:  # fmt: skip
    """Write the same, and its derivatives with respect to ln S0, ln ω_B, m and ln R over it, (4, n).

    Parameters
    ----------
    density, corner, order, noise : float
        S0, ln ω_B, m, R.
    shape, power, log_omega : float64, shape (folds, n)
    moves : float64, shape (4, n)
    expected : float64, shape (n,)
    """
    for k in range(expected.size):
        seen = density * shape[0, k] * power[0, k]
        slope = 2 * seen * (1 - shape[0, k])  # ∂/∂ln ω_B, over m
        level, slopes, bends = seen, slope, slope * (log_omega[0, k] - corner)
        for i in range(1, shape.shape[0]):
            seen = density * shape[i, k] * power[i, k]
            slope = 2 * seen * (1 - shape[i, k])
            level += seen
            slopes += slope
            bends += slope * (log_omega[i, k] - corner)
        expected[k] = level + noise
        moves[0, k], moves[1, k] = level / expected[k], order * slopes / expected[k]
        moves[2, k], moves[3, k] = -bends / expected[k], noise / expected[k]
