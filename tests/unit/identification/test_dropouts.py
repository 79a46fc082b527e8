"""What was not measured, in one channel alone."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.samples import FloatArray
from dyncal.identification.dropouts import Dropouts
from dyncal.identification.dropouts import dropouts as found_in
from tests.unit.identification.record_fit.records import instants, walk


def dropouts(name: str, x: FloatArray) -> Dropouts | None:
    return found_in(name, instants(x.size, 0.01), x)


def _record(seed: int, n: int = 1000) -> FloatArray:
    return 5 + walk(n, 0.95, np.random.default_rng(seed))


@pytest.mark.parametrize("level", [0.0, 20.0, 9999.0])
def test_one_same_value_far_from_its_neighbours_is_found_everywhere(level: float) -> None:
    for seed in range(5):
        x = _record(seed)
        where = np.unique(np.random.default_rng(seed).integers(0, 1000, 12))
        x[where] = level
        found = dropouts("indication", x)
        assert found is not None
        assert found.index.tolist() == where.tolist()
        assert found.said == f"the indication drops out to {level:.6g} ({where.size} samples)"


def test_two_values_and_a_spike_are_found_together() -> None:
    x = _record(1)
    x[[100, 200, 300]], x[[150, 250, 251]], x[700] = 0.0, 9999.0, -40.0
    found = dropouts("reference", x)
    assert found is not None
    assert found.index.tolist() == [100, 150, 200, 250, 251, 300, 700]
    assert "lone spike of -40" in found.said


def test_healthy_clipped_and_commanded_channels_have_none() -> None:
    for seed in range(20):
        x = _record(seed)
        for healthy in (
            x,
            np.minimum(x, np.quantile(x, 0.95)),
            np.maximum(x, np.quantile(x, 0.85)),
            np.round(x * 4) / 4,
            np.repeat(np.sign(x[::10] - 5), 10),
            np.repeat(x[::100], 100),
            np.where(np.arange(1000) % 250 < 20, 3 * np.sin(np.arange(1000) % 250 * np.pi / 20), 0.0),
        ):
            assert dropouts("reference", healthy) is None


def test_nothing_is_asked_of_what_is_missing() -> None:
    assert dropouts("reference", np.full(50, np.nan)) is None
    assert dropouts("reference", np.empty(0)) is None
    x = _record(3)
    x[::7] = np.nan
    assert dropouts("reference", x) is None
