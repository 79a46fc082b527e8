from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dyncal.correction.design.choice import Method, choose, sampling_of
from dyncal.correction.design.spectrum import from_bandwidth
from dyncal.domain.errors import InvalidData
from dyncal.domain.time import Int64Array
from tests.unit.correction.examples import ALL, T0_NS, Case, instants


def chosen(case: Case, t: Int64Array | None = None) -> Method:
    choice = choose(
        case.parameters,
        dt_ns=case.dt_ns,
        noise_std=case.noise_std,
        spectrum=case.spectrum,
        sampling=None if t is None else sampling_of(t, case.dt_ns),
    )
    assert choice.why
    return choice.method


def test_the_rules() -> None:
    case = ALL["thermocouple"]
    rng = np.random.default_rng(1)
    regular = instants(2000)
    assert chosen(case, regular) is Method.SMOOTHER  # 0.3 Hz at 100 Hz is narrow
    wide = dataclasses.replace(case, spectrum=from_bandwidth(2.0, 1.0, order=2))
    assert chosen(wide, regular) is Method.FIR
    assert chosen(wide, regular + rng.integers(0, 1_000_000, size=2000)) is Method.FIR
    assert chosen(wide, T0_NS + np.cumsum(rng.integers(1_000_000, 19_000_000, size=2000))) is Method.SMOOTHER
    holes = np.delete(regular, np.concatenate([np.arange(k, k + 5) for k in range(50, 1900, 200)]))
    assert chosen(wide, holes) is Method.SMOOTHER
    assert chosen(wide, np.delete(regular, np.arange(50, 1900, 200))) is Method.FIR  # single ones are bridged
    slow = dataclasses.replace(case, spectrum=from_bandwidth(1.1, 1.0, order=8))
    assert chosen(slow) is Method.RECURSIVE
    assert chosen(ALL["non_minimum_phase"], holes) is Method.FIR


def test_jitter_is_a_share_of_the_interval() -> None:
    rng = np.random.default_rng(2)
    t = instants(5000) + np.rint(rng.normal(size=5000) * 500_000).astype(np.int64)
    assert sampling_of(t, 10_000_000).jitter == pytest.approx(0.05, rel=0.15)
    assert sampling_of(instants(10), 10_000_000).jitter == 0.0
    assert sampling_of(instants(100) * 1000, 10_000_000).off_grid == 1.0  # wrong unit


@pytest.mark.parametrize("t", [[1, 2], [1, 3, 3], [3, 2, 1]])
def test_no_instants_no_regularity(t: list[int]) -> None:
    with pytest.raises(InvalidData):
        sampling_of(np.array(t, np.int64), 10)
