"""A block that grows: where the pass goes on from the look before, and where it begins again."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import Int64Array
from dyncal.identification.interpolation import CONTEXT, Interpolation
from dyncal.identification.online import passes
from dyncal.identification.online.block import interpolations
from dyncal.identification.online.fleet import looks

KNOWN = {
    ModelKind.FIRST_ORDER: np.array([1.1, np.log(0.08), -3.0]),
    ModelKind.SECOND_ORDER: np.array([0.9, np.log(0.4), np.log(6.0), -3.0]),
    ModelKind.LEAD_LAG: np.array([1.1, np.log(0.2), np.log(0.05), 0.3, -3.0]),
}
DT_NS, N = 10_000_000, 400


def rows(seed: int) -> tuple[Int64Array, FloatArray]:
    """Return instants (1, n) and values (2, 1, n) of a sensor that follows its reference."""
    rng = np.random.default_rng(seed)
    r = np.cumsum(rng.normal(size=N)) + 0.01 * rng.normal(size=N)
    y = r + 0.1 * rng.normal(size=N)
    return DT_NS * np.arange(N, dtype=np.int64)[None], np.stack([y, r])[:, None, :].copy()


def looked(
    kind: ModelKind, t_ns: Int64Array, values: FloatArray, n: int, target_u: float, *,
    between: Interpolation = Interpolation.CUBIC, longest: int = N - 2 * CONTEXT, fresh: bool = False,
) -> tuple[int, bool, list[bytes], int]:  # fmt: skip
    """Look at a block that begins with n samples; return its length, whether it closed, all that it left, leaps."""
    one, h = np.zeros(1, dtype=np.int64), KNOWN[kind][None]
    size, closed, left_out = np.array([n]), np.zeros(1, dtype=np.bool_), np.zeros(1, dtype=np.int64)
    x, s = np.array([[0.3, 0.1]]), np.full((1, 2, passes.ROWS), 0.01)
    gram, summary = np.empty((1, passes.ROWS, passes.ROWS)), np.zeros((1, looks.N_SUMMARY))
    looks.look(
        passes.CODES[kind], one, size, t_ns.copy(), values.copy(), one, np.array([N]), one + CONTEXT + 1,
        np.array([longest]), np.array([1e18]), np.array([target_u]), False, np.array([fresh]),
        np.array([between.code]), interpolations(), h, np.array([0.01]), np.ones(1), np.full((1, 2), np.nan), left_out,
        x, s, gram, summary, closed,
    )  # fmt: skip
    left = [each.tobytes() for each in (x, s, gram, summary)]
    return int(size[0]), bool(closed[0]), left, int(left_out[0])


def uneven(t_ns: Int64Array, values: FloatArray) -> None:
    t_ns += np.random.default_rng(1).integers(0, DT_NS // 1000, N)


def bridged(t_ns: Int64Array, values: FloatArray) -> None:
    values[1, 0, [60, 150]] = np.nan


def lost(t_ns: Int64Array, values: FloatArray) -> None:
    values[0, 0, [45, 46, 111]] = np.nan


def slower(t_ns: Int64Array, values: FloatArray) -> None:
    t_ns[0, 120:] += DT_NS // 1000


def dropped(t_ns: Int64Array, values: FloatArray) -> None:
    values[0, 0, 130] = 900.0


def as_it_is(t_ns: Int64Array, values: FloatArray) -> None:
    """Change nothing."""


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("between", Interpolation)
@pytest.mark.parametrize("change", [as_it_is, uneven, bridged, lost, slower, dropped])
def test_looks_from_where_the_last_one_ended_are_looks_at_the_whole(
    kind: ModelKind, between: Interpolation, change: object
) -> None:
    t_ns, values = rows(2)
    assert callable(change)
    change(t_ns, values)
    n, closed, grown, left_out = looked(kind, t_ns, values, 20, 1e-9, between=between, longest=301)
    assert (n, closed) == (301, True)
    again, _, whole, at_once = looked(kind, t_ns, values, 301, 1e-9, between=between, longest=301)
    assert again == 301
    assert grown == whole
    assert left_out == at_once == (1 if change is dropped else 0)


@pytest.mark.parametrize("kind", KNOWN)
def test_a_block_whose_initial_state_is_sought_is_looked_at_as_a_whole(kind: ModelKind) -> None:
    t_ns, values = rows(3)
    _, _, grown, _ = looked(kind, t_ns, values, 20, 1e-9, longest=200, fresh=True)
    _, _, whole, _ = looked(kind, t_ns, values, 200, 1e-9, longest=200, fresh=True)
    assert grown == whole


def test_a_block_closes_where_it_says_enough() -> None:
    t_ns, values = rows(4)
    n, closed, _, _ = looked(ModelKind.FIRST_ORDER, t_ns, values, 20, 0.02)
    assert closed
    assert 20 < n < 300
    assert looked(ModelKind.FIRST_ORDER, t_ns, values, n, 0.02)[:2] == (n, True)
    assert looked(ModelKind.FIRST_ORDER, t_ns, values, n * 2 // 3, 0.02)[0] > n * 2 // 3


def test_a_block_that_lacks_samples_waits_for_those_that_it_should_have() -> None:
    t_ns, values = rows(5)
    n, closed, _, _ = looked(ModelKind.FIRST_ORDER, t_ns, values, 20, 1e-9, longest=N)
    assert not closed
    assert n > N - 2 * CONTEXT - 1


def test_a_pass_that_is_none_closes_its_block() -> None:
    t_ns, values = rows(6)
    values[0, 0, 100:] = 1e200
    n, closed, _, _ = looked(ModelKind.FIRST_ORDER, t_ns, values, 20, 1e-9)
    assert closed
    assert n < 301
