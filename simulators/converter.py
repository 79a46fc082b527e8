"""The converter: noise, saturation, quantisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dyncal.domain.samples import FloatArray


@dataclass(frozen=True, slots=True)
class Converter:
    """What happens between the sensing element and the number.

    Attributes
    ----------
    noise : float
        Standard deviation of white Gaussian noise, in the sensor's unit.
    resolution : float
        Step of the quantiser; 0 for none.
    low, high : float
        Ends of the range, at which it saturates.
    """

    noise: float = 0.0
    resolution: float = 0.0
    low: float = float("-inf")
    high: float = float("inf")

    def convert(self, y: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return the numbers that come out, shape (n,); draws n normal deviates whatever the noise."""
        noisy = np.clip(y + self.noise * rng.standard_normal(y.size), self.low, self.high)
        if self.resolution > 0:
            noisy = np.round(noisy / self.resolution) * self.resolution
        return noisy
