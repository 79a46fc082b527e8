"""Where a fit of two sensors starts: a grid over both, on few frequencies."""

from __future__ import annotations

from itertools import product
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.in_situ.problem import start_ratio
from dyncal.identification.in_situ.spectra import PairSpectra
from dyncal.models import SensorModel
from dyncal.models.base import ComplexArray

_FREQUENCIES: Final = 160
_KEPT: Final = 4


def starts(
    first: SensorModel, second: SensorModel, spectra: PairSpectra, noise: FloatArray, gain: float
) -> list[FloatArray]:
    """Return x of the best pairs of a grid, the best first; `gain` is the first sensor's."""
    order = np.argsort(spectra.f_hz, kind="stable")
    some = order[np.unique(np.geomspace(1, order.size, _FREQUENCIES).astype(int) - 1)]
    f, y1, y2 = spectra.f_hz[some], spectra.first[some], spectra.second[some]
    ratio = start_ratio(spectra)
    ones, twos = _grid(first, spectra), _grid(second, spectra)
    h1 = np.stack([first.frequency_response(theta, f) for theta in ones])
    h2 = np.stack([second.frequency_response(theta, f) for theta in twos])
    ranked = []
    for i, row in enumerate(h1):
        cost, gains = _costs(row * y2, h2 * y1, np.abs(row) ** 2, np.abs(h2) ** 2, noise, ratio)
        ranked += [(float(c), i, j, float(g)) for j, (c, g) in enumerate(zip(cost, gains, strict=True))]
    ranked.sort()
    found = []
    for _, i, j, g in ranked[:_KEPT]:
        eta1, eta2 = first.to_internal(ones[i]), second.to_internal(twos[j])
        eta2[0] = g * gain
        found.append(np.concatenate([eta1[1:], eta2]))
    return found


def _costs(
    a: ComplexArray, b: ComplexArray, one: FloatArray, two: FloatArray, noise: FloatArray, ratio: float
) -> tuple[FloatArray, FloatArray]:
    """Return Σ|e|² and the gain ratio of each candidate of the second sensor, shapes (k,)."""
    w2 = ratio**2 * two * noise[0] + one * noise[1]
    gains = np.sum(np.real(np.conj(b) * a) / w2, axis=1) / np.sum(np.abs(b) ** 2 / w2, axis=1)
    return np.sum(np.abs(gains[:, None] * b - a) ** 2 / w2, axis=1), gains


def _grid(model: SensorModel, spectra: PairSpectra) -> list[FloatArray]:
    """Return candidates of θ with gain 1."""
    shortest, longest = 0.3 * spectra.dt_s, spectra.longest_s / 4
    match model.kind:
        case ModelKind.FIRST_ORDER:
            return [np.array([1.0, tau]) for tau in np.geomspace(shortest, longest, 20)]
        case ModelKind.SECOND_ORDER:
            f0 = np.geomspace(3 / spectra.longest_s, 0.4 / spectra.dt_s, 24)
            return [np.array([1.0, d, f]) for f, d in product(f0, (0.05, 0.2, 0.7, 1.5))]
        case _:
            raise InvalidData(f"the cross-relation has no start for a {model.label} model")
