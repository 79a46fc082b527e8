"""Whatever a stream is like, its correction does not depend on how it is cut, and numpy agrees with the kernels."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dyncal.correction.streaming.stream import StreamingCorrector
from dyncal.domain.coefficients import CoefficientSet
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.kernels import HAVE_NUMBA
from tests.unit.correction.examples import T0_NS, arbitrary_set

DT_NS = 10_000_000
Stream = tuple[Int64Array, FloatArray, Int64Array]

SETS = {
    (sections, shared): arbitrary_set(np.random.default_rng(3), taps=13, delay=5, sections=sections, shared=shared)
    for sections in (0, 2)
    for shared in (True, False)
}

# Mostly regular; jitter, holes, gaps, samples too close, and worthless values between.
_step = st.one_of(
    st.just(DT_NS),
    st.just(DT_NS),
    st.just(DT_NS),
    st.integers(1, 3).map(lambda k: (k + 1) * DT_NS),
    st.integers(DT_NS - 2_000_000, DT_NS + 2_000_000),
    st.integers(1, 12 * DT_NS),
)
_value = st.one_of(
    st.floats(-10, 10), st.floats(-10, 10), st.floats(-10, 10), st.sampled_from([np.nan, np.inf, 1e99, -1e99, 1e300])
)


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Draw instants, values and the places where the stream is cut; long calm runs between the rough places."""
    steps: list[int] = []
    values: list[float] = []
    for _ in range(draw(st.integers(1, 6))):
        calm = draw(st.integers(0, 60))
        steps += [DT_NS] * calm
        values += np.random.default_rng(draw(st.integers(0, 99))).normal(size=calm).tolist()
        rough = draw(st.lists(st.tuples(_step, _value), max_size=8))
        steps += [step for step, _ in rough]
        values += [value for _, value in rough]
    n = len(steps)
    cuts = np.array(sorted(draw(st.lists(st.integers(0, n), max_size=12))), np.int64)
    return T0_NS + np.cumsum(np.array(steps, np.int64)), np.array(values, np.float64), cuts


def run(coefficients: CoefficientSet, stream: Stream, *, cut: bool, compiled: bool) -> list[FloatArray]:
    corrector = StreamingCorrector(coefficients, compiled=compiled)
    t, y, cuts = stream
    spans = []
    for part in np.split(np.arange(t.size), cuts) if cut else [np.arange(t.size)]:
        span = corrector.process(t[part], y[part], u_t_ns=1000.0)
        if span is not None:
            spans.append((span.axis.t_ns.astype(np.float64), span.value, span.u))
    return [np.concatenate(parts) for parts in zip(*spans, strict=True)] if spans else [np.empty(0)] * 3


def agree(one: list[FloatArray], other: list[FloatArray]) -> None:
    np.testing.assert_array_equal(one[0], other[0])
    # A recursion remembers what was large, as does a bridge in its u: agreement is relative to the largest so far.
    largest = np.fmax(np.abs(one[1]), one[2])
    scale = np.maximum.accumulate(np.nan_to_num(largest)) if largest.size else largest
    for a, b in zip(one[1:], other[1:], strict=True):
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        known = np.isfinite(a)
        assert np.all(np.abs(a - b)[known] <= 1e-11 * (1 + scale[known]))


@settings(max_examples=60)
@given(stream=streams(), which=st.sampled_from(sorted(SETS)))
def test_cuts_do_not_matter(stream: Stream, which: tuple[int, bool]) -> None:
    whole = run(SETS[which], stream, cut=False, compiled=False)
    agree(whole, run(SETS[which], stream, cut=True, compiled=False))
    if HAVE_NUMBA:
        compiled = run(SETS[which], stream, cut=False, compiled=True)
        for a, b in zip(compiled, run(SETS[which], stream, cut=True, compiled=True), strict=True):
            np.testing.assert_array_equal(a, b)  # to the last bit


@settings(max_examples=60)
@given(stream=streams(), which=st.sampled_from(sorted(SETS)))
def test_numpy_agrees_with_the_kernels(stream: Stream, which: tuple[int, bool]) -> None:
    agree(run(SETS[which], stream, cut=True, compiled=HAVE_NUMBA), run(SETS[which], stream, cut=True, compiled=False))


@settings(max_examples=60)
@given(stream=streams(), which=st.sampled_from(sorted(SETS)))
def test_each_raw_sample_has_one_entry_and_no_u_is_negative(stream: Stream, which: tuple[int, bool]) -> None:
    t, value, u = run(SETS[which], stream, cut=True, compiled=HAVE_NUMBA)
    np.testing.assert_array_equal(t, stream[0][: t.size].astype(np.float64))
    assert stream[0].size - t.size <= SETS[which].filter.delay
    np.testing.assert_array_equal(np.isnan(value), np.isnan(u))
    assert np.all(u[np.isfinite(u)] >= np.hypot(0.01, 0.02) * (1 - 1e-12))
