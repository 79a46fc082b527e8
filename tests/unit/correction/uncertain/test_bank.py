from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from dyncal.correction.uncertain import FilterBank, RecursiveFilter, UncertainIIR, prepare
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.kernels import HAVE_NUMBA
from tests.unit.correction.uncertain.test_recursive import stable

COMPILED = pytest.mark.parametrize("compiled", [True, False] if HAVE_NUMBA else [False])
Coefficients = tuple[FloatArray, FloatArray, FloatArray]


def filters(n: int, seed: int = 1) -> list[Coefficients]:
    rng = np.random.default_rng(seed)
    return [stable(rng, 1 + i % 2) for i in range(n)]


def prepared(of: list[Coefficients]) -> list[RecursiveFilter]:
    return [prepare(*one, u_x=0.1) for one in of]


def rough(n: int, sensors: int) -> FloatArray:
    x = np.cumsum(np.random.default_rng(2).normal(size=(n, sensors)), axis=0)
    x[0, sensors // 2] = np.nan
    x[n // 3, 0] = np.inf
    x[n // 2 : n // 2 + 3, -1] = -1e200
    return x


@COMPILED
@pytest.mark.parametrize("sensors", [1, 3, 128, 150])
@pytest.mark.parametrize("past", ["unknown", "constant"])
def test_each_sensor_has_the_bits_of_a_filter_of_its_own(compiled: bool, sensors: int, past: Any) -> None:
    of = filters(sensors)
    x = rough(90, sensors)
    bank = FilterBank(prepared(of), past=past, compiled=compiled)
    parts = [bank.process(part) for part in np.split(x, [0, 1, 2, 40, 48, 49])]
    y, u = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    assert np.isfinite(y).sum() > 0.3 * y.size
    for i, one in enumerate(of):
        expected = UncertainIIR(*one, u_x=0.1, past=past, compiled=compiled).process(x[:, i])
        for found, known in zip((y[:, i], u[:, i]), expected, strict=True):
            if compiled:
                np.testing.assert_array_equal(found, known)
            else:
                np.testing.assert_allclose(found, known, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("parts", [1, 2, 3, 50])
def test_threads_change_nothing(parts: int) -> None:
    of = prepared(filters(400))
    x = rough(40, 400)
    alone = FilterBank(of).process(x)
    with ThreadPoolExecutor(2) as executor:
        together = FilterBank(of, executor=executor, parts=parts).process(x)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@COMPILED
def test_memory_of_any_order_and_outputs_of_the_caller(compiled: bool) -> None:
    of = prepared(filters(5))
    x = rough(30, 5)
    expected = FilterBank(of, compiled=compiled).process(x)
    bank = FilterBank(of, compiled=compiled)
    found = bank.process(np.asfortranarray(x))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)
    bank.reset()
    out = np.empty((30, 5)), np.empty((30, 5))
    bank.process(x, out=out)
    for one, other in zip(expected, out, strict=True):
        np.testing.assert_array_equal(one, other)
    assert bank.process(np.empty((0, 5)))[0].shape == (0, 5)


@COMPILED
def test_bad_banks_and_blocks_are_refused_by_name(compiled: bool) -> None:
    of = prepared(filters(3))
    third = prepare(*stable(np.random.default_rng(1), 3))
    for made, told in (([], "at least one"), ([*of, third], "filter 3 has order 3")):
        with pytest.raises(InvalidData, match=told):
            FilterBank(made, compiled=compiled)
    wrong: list[dict[str, Any]] = [{"past": "zero"}, {"parts": 0}]
    for options in wrong:
        with pytest.raises(InvalidData):
            FilterBank(of, compiled=compiled, **options)
    bank = FilterBank(of, compiled=compiled)
    for x in (np.ones(3), np.ones((2, 4)), np.ones((2, 3), np.float32)):
        with pytest.raises(InvalidData, match="bank of 3"):
            bank.process(x)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(InvalidData, match="outputs"):
        bank.process(np.ones((2, 3)), out=(np.empty((2, 3)), np.empty((3, 2))))
