from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.samples import FloatArray
from dyncal.identification import AlignedRecord
from dyncal.identification.record_fit import InterSample
from dyncal.identification.record_fit.segments import take
from dyncal.identification.record_fit.smoothness import course_of_reference
from tests.unit.identification.record_fit.records import instants, walk


def _course(r: FloatArray, jitter: float = 0.0) -> InterSample:
    t = instants(r.size, 0.01, jitter)
    return course_of_reference(take(AlignedRecord(t, r, r)))


def test_a_rough_or_noisy_reference_is_met_by_lines() -> None:
    rng = np.random.default_rng(1)
    smooth = np.sin(2 * np.pi * 0.05 * np.arange(500))
    assert _course(walk(500, 0.95, rng)) is InterSample.LINEAR
    assert _course(np.repeat(rng.normal(size=50), 10)) is InterSample.LINEAR
    assert _course(smooth + 0.1 * rng.normal(size=500)) is InterSample.LINEAR


def test_a_smooth_reference_is_met_by_splines() -> None:
    k = np.arange(500)
    assert _course(np.sin(2 * np.pi * 0.05 * k)) is not InterSample.LINEAR
    assert _course(np.exp(-0.5 * ((k - 100.3) / 5) ** 2)) is not InterSample.LINEAR
    assert _course(np.sin(2 * np.pi * 0.15 * k)) is not InterSample.LINEAR


@pytest.mark.parametrize("n", [10, 60])
def test_too_few_or_uneven_values_are_met_by_lines(n: int) -> None:
    smooth = np.sin(2 * np.pi * 0.05 * np.arange(500))
    assert _course(smooth[:n]) is InterSample.LINEAR
    assert _course(smooth, jitter=0.4) is InterSample.LINEAR
