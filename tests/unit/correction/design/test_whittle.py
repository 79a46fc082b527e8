"""The compiled fit of a spectrum against the same in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.correction.design.whittle import descend, minimise
from dyncal.domain.samples import FloatArray

BINS = 61
BOUNDS = np.array([(-80.0, 80.0), (-1.0, 5.0), (1.0, 8.0), (-12.0, 3.0)])
NOISE, TRUST = -4.0, 12.0
TRUE = np.array([0.7, 1.4, 2.5, NOISE])
STARTS = np.array([(corner, order) for corner in np.linspace(-1, 5, 7) for order in (1.0, 4.0)])


class Reference:
    """Likelihood, derivatives and descent in numpy."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        base = np.linspace(0.5, 20.0, BINS)
        self.log_omega = np.log(np.stack([base, 41 - base, 41 + base, 82 - base]))
        self.power = 1 / (1 + np.exp(2 * (self.log_omega - 1.0)))
        self.periodogram = np.ones(BINS)
        self.periodogram = self.expected(TRUE) * rng.gamma(5.0, 1 / 5.0, size=BINS)

    def shape(self, corner: float, order: float) -> FloatArray:
        return np.asarray(np.exp(-np.logaddexp(0.0, 2 * order * (self.log_omega - corner))))

    def expected(self, p: FloatArray) -> FloatArray:
        return np.asarray(np.exp(p[0]) * (self.shape(p[1], p[2]) * self.power).sum(axis=0) + np.exp(p[3]))

    def value(self, p: FloatArray) -> float:
        expected = self.expected(p)
        believed = 0.5 * TRUST * (p[3] - NOISE) ** 2
        return float(np.sum(np.log(expected) + self.periodogram / expected) + believed)

    def derivatives(self, p: FloatArray) -> tuple[FloatArray, FloatArray]:
        seen = np.exp(p[0]) * self.shape(p[1], p[2]) * self.power
        slope = 2 * seen * (1 - self.shape(p[1], p[2]))
        expected = self.expected(p)
        moves = np.stack([
            seen.sum(axis=0), p[2] * slope.sum(axis=0), -(slope * (self.log_omega - p[1])).sum(axis=0),
            np.full(BINS, np.exp(p[3])),
        ]) / expected  # fmt: skip
        gradient, information = moves @ (1 - self.periodogram / expected), moves @ moves.T
        gradient[3] += TRUST * (p[3] - NOISE)
        information[3, 3] += TRUST
        return gradient, information

    def descend(self, p: FloatArray, known: tuple[FloatArray, float] | None = None) -> tuple[FloatArray, float]:
        """Go to the minimum near p, or until it comes within 0.02 of one that is `known` and no lower."""
        low, high = BOUNDS.T
        value, damping = self.value(p), 1e-3
        for _ in range(100):
            gradient, information = self.derivatives(p)
            free = ~((p <= low) & (gradient > 0) | (p >= high) & (gradient < 0))
            scale = np.sqrt(information.diagonal()[free])
            unit = information[free][:, free] / np.outer(scale, scale) + damping * np.eye(scale.size)
            step = np.zeros(4)
            step[free] = -np.linalg.solve(unit, gradient[free] / scale) / scale
            there = np.clip(p + np.clip(step, -2.0, 2.0), low, high)
            now = self.value(there)
            if now < value:
                done = value - now < 1e-7
                p, value, damping = there, now, max(damping / 10, 1e-6)
                if done or (known and value >= known[1] and np.abs(p - known[0]).max() <= 0.02):
                    break
            else:
                damping = max(10 * damping, 1e-3)
                if damping > 1e8:
                    break
        return p, value

    def minimise(self) -> tuple[FloatArray, float]:
        begun = []
        for corner, order in STARTS.tolist():
            seen = (self.shape(corner, order) * self.power).sum()
            p = np.array([np.log(self.periodogram.sum() / seen), corner, order, NOISE])
            begun.append((self.value(p), p))
        begun.sort(key=lambda pair: pair[0])
        first = self.descend(begun[0][1])
        return min(first, self.descend(begun[1][1], first), key=lambda pair: pair[1])


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("start", [(0.0, 0.0, 1.0, -4.0), (3.0, 4.9, 8.0, 2.9), (-20.0, 2.0, 4.0, -11.0)])
def test_a_descent_is_that_of_numpy(seed: int, start: tuple[float, ...]) -> None:
    """Both stop where 1e-7 is no longer gained, which tells parameters to some 1e-4; a long way amplifies rounding."""
    reference, p = Reference(seed), np.array(start)
    wanted, least = reference.descend(p)
    found = descend(p, BOUNDS, reference.power, reference.log_omega, reference.periodogram, NOISE, TRUST)
    assert found == pytest.approx(least, rel=1e-9)
    assert p == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("seed", range(10))
def test_the_best_of_a_grid_of_starts_is_that_of_numpy(seed: int) -> None:
    """Two descents may end in one minimum, a little apart; which is the lower is a matter of rounding."""
    reference, p = Reference(seed), np.array([0.0, 0.0, 0.0, NOISE])
    shapes = np.stack([reference.shape(corner, order) for corner, order in STARTS.tolist()])
    wanted, least = reference.minimise()
    found = minimise(
        p, BOUNDS, STARTS, shapes, reference.power, reference.log_omega, reference.periodogram, NOISE, TRUST, 2
    )
    assert found == pytest.approx(least, rel=1e-9)
    assert p == pytest.approx(wanted, abs=1e-4)


def test_nothing_is_found_in_what_is_no_number() -> None:
    reference, start = Reference(0), np.array([0.0, 0.0, 1.0, -4.0])
    reference.periodogram[7] = np.nan
    p = start.copy()
    found = descend(p, BOUNDS, reference.power, reference.log_omega, reference.periodogram, NOISE, TRUST)
    assert np.isnan(found)
    assert p.tobytes() == start.tobytes()


def test_a_shape_of_any_size_is_no_overflow() -> None:
    reference, p = Reference(0), np.array([0.0, -1.0, 8.0, -4.0])
    far = np.ascontiguousarray(reference.log_omega + 300)
    found = descend(p, BOUNDS, reference.power, far, reference.periodogram, NOISE, TRUST)
    assert np.isfinite(found)
