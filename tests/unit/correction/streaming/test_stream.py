from __future__ import annotations

import numpy as np
import pytest

from dyncal.correction.streaming.prepared import prepare
from dyncal.correction.streaming.record import correct
from dyncal.correction.streaming.stream import StreamingCorrector
from dyncal.domain import quality
from dyncal.domain.coefficients import CoefficientSet, CorrectionFilter
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import InstantNs, Int64Array
from dyncal.kernels import HAVE_NUMBA
from tests.unit.correction.examples import CASES, arbitrary_set, instants, set_of
from tests.unit.correction.streaming import naive

DT_NS = 10_000_000
COMPILED = pytest.mark.parametrize("compiled", [True, False] if HAVE_NUMBA else [False])


def walk(n: int, seed: int = 1) -> FloatArray:
    return np.cumsum(np.random.default_rng(seed).normal(size=n)) * 0.1


def run(
    coefficients: CoefficientSet, t: Int64Array, y: FloatArray, compiled: bool, u_t_ns: float = 0.0
) -> tuple[Int64Array, FloatArray, FloatArray]:
    span = StreamingCorrector(coefficients, compiled=compiled).process(t, y, u_t_ns=u_t_ns)
    assert span is not None
    return span.axis.t_ns, span.value, span.u


@COMPILED
@pytest.mark.parametrize("sections", [0, 1, 2])
@pytest.mark.parametrize("shared", [True, False])
def test_equals_the_naive_reference(compiled: bool, sections: int, shared: bool) -> None:
    coefficients = arbitrary_set(np.random.default_rng(3), sections=sections, shared=shared)
    y = walk(400)
    y[250] = np.nan
    f = coefficients.filter
    settle = prepare(f, coefficients.parameters).settle
    t, value, u = run(coefficients, instants(y.size), y, compiled, u_t_ns=2e6)
    expected, u_expected = naive.correct(f, coefficients.parameters, y, 2e-3, settle)
    assert np.array_equal(t, instants(y.size)[: -f.delay])
    assert np.array_equal(np.isnan(value), np.isnan(expected[f.delay :]))
    assert np.isfinite(value).sum() > 200
    np.testing.assert_allclose(value, expected[f.delay :], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(u, u_expected[f.delay :], rtol=1e-11)


@COMPILED
def test_record_gives_the_numbers_of_the_stream(compiled: bool) -> None:
    coefficients = arbitrary_set(np.random.default_rng(3), sections=2)
    y = walk(300)
    _, value, u = run(coefficients, instants(y.size), y, compiled, u_t_ns=2e6)
    whole, u_whole = correct(coefficients.filter, coefficients.parameters, y, u_t_s=2e-3, compiled=compiled)
    delay = coefficients.filter.delay
    np.testing.assert_array_equal(whole[:-delay], value)
    np.testing.assert_array_equal(u_whole[:-delay], u)
    assert np.isnan(whole[-delay:]).all()


@COMPILED
def test_instants_are_those_of_raw_samples(compiled: bool) -> None:
    coefficients = set_of("thermocouple")
    corrector = StreamingCorrector(coefficients, compiled=compiled)
    t = instants(200)
    assert corrector.process(t[:1], np.ones(1)) is None  # nothing is ready before the latency has passed
    span = corrector.process(t[1:], np.ones(199))
    assert span is not None
    assert np.array_equal(span.axis.t_ns, t[: -coefficients.filter.delay])
    window = coefficients.filter.fir.size - 1 - coefficients.filter.delay
    assert np.isnan(span.value[:window]).all()
    np.testing.assert_allclose(span.value[window:], 1.0, rtol=1e-12)  # exact at DC, from the first whole window on
    assert np.isfinite(span.u[window:]).all()


@COMPILED
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300, "bad quality"])
def test_a_worthless_sample_is_forgotten(compiled: bool, bad: float | str) -> None:
    coefficients = arbitrary_set(np.random.default_rng(3), sections=1)
    y = walk(600)
    codes = np.zeros(600, np.uint32)
    clean = StreamingCorrector(coefficients, compiled=compiled).process(instants(600), y, codes)
    if isinstance(bad, str):
        codes[200] = quality.BAD_NO_COMMUNICATION
    else:
        y[200] = bad
    span = StreamingCorrector(coefficients, compiled=compiled).process(instants(600), y, codes)
    assert span is not None
    assert clean is not None
    delay, taps = coefficients.filter.delay, coefficients.filter.fir.size
    hurt = np.flatnonzero(np.isnan(span.value) & np.isfinite(clean.value))
    assert hurt[0] == 200 - delay
    assert hurt[-1] < 200 - delay + taps + prepare(coefficients.filter, coefficients.parameters).settle + 1
    assert np.array_equal(np.isnan(span.value), np.isnan(span.u))
    # Recursive sections forget to 1e-3 when their outputs count again, and go on forgetting.
    assert np.max(np.abs(span.value - clean.value)[400:]) < 1e-9


@COMPILED
def test_an_uncertain_quality_is_used(compiled: bool) -> None:
    codes = np.full(200, quality.UNCERTAIN, np.uint32)
    span = StreamingCorrector(set_of("thermocouple"), compiled=compiled).process(instants(200), np.ones(200), codes)
    assert span is not None
    assert np.isfinite(span.value[-1])


@COMPILED
def test_huge_finite_values_do_no_lasting_harm(compiled: bool) -> None:
    coefficients = arbitrary_set(np.random.default_rng(3), sections=2)
    y = walk(600)
    y[100:110] = 9e99
    t, value, u = run(coefficients, instants(600), y, compiled)
    assert t.size == 600 - coefficients.filter.delay
    assert np.isfinite(value[-50:]).all()
    assert np.isfinite(u[-50:]).all()


@COMPILED
def test_a_gap_restarts_and_owes_nothing(compiled: bool) -> None:
    coefficients = arbitrary_set(np.random.default_rng(3))
    t, y = instants(300), walk(300)
    t[150:] += 100 * DT_NS + 3_456_789
    found, value, _ = run(coefficients, t, y, compiled)
    delay, taps = coefficients.filter.delay, coefficients.filter.fir.size
    assert np.array_equal(found, t[:-delay])  # one entry for each raw sample
    missing = np.flatnonzero(np.isnan(value))
    assert np.array_equal(missing[missing > taps], np.arange(150 - delay, 150 + taps - 1 - delay))
    alone = run(coefficients, t[150:], y[150:], compiled)
    np.testing.assert_allclose(value[150:], alone[1], rtol=1e-12)


@COMPILED
@pytest.mark.parametrize("hole", [1, 2, 3])
def test_a_short_hole_is_bridged_at_a_price(compiled: bool, hole: int) -> None:
    """300 holes: what bridging changes against the whole stream is, on average, what u has grown by, or less."""
    coefficients = set_of("thermocouple")
    n, period = 60_000, 200
    _, y = CASES["thermocouple"].simulate(np.random.default_rng(1), n)
    keep = (np.arange(n) - period // 2) % period >= hole
    _, whole, u_whole = run(coefficients, instants(n), y, compiled)
    t, value, u = run(coefficients, instants(n)[keep], y[keep], compiled)
    ready = keep[: whole.size]
    assert np.array_equal(t, instants(n)[: whole.size][ready])
    whole, u_whole = whole[ready], u_whole[ready]
    assert np.array_equal(np.isnan(value), np.isnan(whole))
    touched = np.abs(value - whole) > 1e-9
    assert touched.mean() <= coefficients.filter.fir.size / (period - hole)
    grown = np.sqrt(np.nanmean((u**2 - u_whole**2)[touched]))
    assert 0.35 < np.sqrt(np.mean((value - whole)[touched] ** 2)) / grown < 1.05


@COMPILED
def test_a_hole_of_unknown_worth_is_not_bridged(compiled: bool) -> None:
    coefficients = set_of("thermocouple")
    keep = np.arange(100) != 4  # too early: nothing is known of this stream's curvature
    t, value, _ = run(coefficients, instants(100)[keep], walk(100)[keep], compiled)
    first = int(t[np.isfinite(value)][0] - t[0]) // DT_NS
    assert first == 5 + coefficients.filter.fir.size - 1 - coefficients.filter.delay


@COMPILED
def test_jitter_is_paid_for(compiled: bool) -> None:
    coefficients = set_of("thermocouple")
    rng = np.random.default_rng(2)
    n, omega = 4000, 2 * np.pi * 0.3
    off = rng.normal(0, 0.05 * DT_NS, n).clip(-0.2 * DT_NS, 0.2 * DT_NS).astype(np.int64)
    t = instants(n) + off
    y = np.sin(omega * (t - t[0]) / 1e9)
    exact = np.sin(omega * (instants(n) - t[0]) / 1e9)
    found, value, u = run(coefficients, t, y, compiled)
    _, on_grid, u_on_grid = run(coefficients, instants(n), exact, compiled)
    assert np.array_equal(found, t[: found.size])
    ok = np.isfinite(value)
    # What the value says at its own instant, against the curve through the regular samples.
    curve = np.interp(found[ok], instants(n)[: on_grid.size][ok], on_grid[ok])
    inner = slice(50, -50)
    wrong = np.sqrt(np.mean((value[ok] - curve)[inner] ** 2))
    price = np.sqrt(np.mean((u[ok] ** 2 - u_on_grid[ok] ** 2)[inner]))
    assert 0.8 < price / wrong < 1.4


@COMPILED
def test_a_clock_that_runs_fast_is_no_jitter(compiled: bool) -> None:
    coefficients = set_of("thermocouple")
    regular = instants(20_000)
    t = regular[0] + np.round((regular - regular[0]) * 1.0005).astype(np.int64)
    _, value, _ = run(coefficients, t, np.ones(t.size), compiled)
    assert np.isnan(value).sum() == coefficients.filter.fir.size - 1 - coefficients.filter.delay


@COMPILED
@pytest.mark.parametrize(
    ("t", "raw", "codes", "u_t_ns"),
    [
        (instants(3)[[0, 1, 1]], np.ones(3), None, 0.0),
        (instants(3)[::-1].copy(), np.ones(3), None, 0.0),
        (instants(3), np.ones(2), None, 0.0),
        (instants(3), np.ones(3, np.float32), None, 0.0),
        (instants(3).astype(np.float64), np.ones(3), None, 0.0),
        (instants(4).reshape(2, 2), np.ones((2, 2)), None, 0.0),
        (instants(3), np.ones(3), np.zeros(2, np.uint32), 0.0),
        (instants(3), np.ones(3), np.zeros(3, np.int64), 0.0),
        (instants(3), np.ones(3), None, -1.0),
        (instants(3), np.ones(3), None, float("nan")),
        (np.array([-5, 1, 2]), np.ones(3), None, 0.0),
    ],
)
def test_contradictions_are_refused_and_change_nothing(
    compiled: bool, t: Int64Array, raw: FloatArray, codes: object, u_t_ns: float
) -> None:
    coefficients = arbitrary_set(np.random.default_rng(3))
    corrector = StreamingCorrector(coefficients, compiled=compiled)
    before = instants(100) - 100 * DT_NS
    corrector.process(before, walk(100))
    with pytest.raises(InvalidData):
        corrector.process(t, raw, codes, u_t_ns)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(InvalidData):
        corrector.process(before[-1:], np.ones(1))  # it has been there already
    untouched = StreamingCorrector(coefficients, compiled=compiled)
    untouched.process(before, walk(100))
    one, other = corrector.process(instants(50), walk(50)), untouched.process(instants(50), walk(50))
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.value, other.value)


@COMPILED
def test_an_empty_block_is_nothing(compiled: bool) -> None:
    corrector = StreamingCorrector(set_of("thermocouple"), compiled=compiled)
    assert corrector.process(np.empty(0, np.int64), np.empty(0)) is None
    assert corrector.last_ns is None


@COMPILED
def test_instants_at_the_ends_of_time(compiled: bool) -> None:
    corrector = StreamingCorrector(set_of("thermocouple"), compiled=compiled)
    corrector.process(np.array([0, DT_NS]), np.ones(2))
    corrector.process(np.array([8_999_999_999_999_999_999, 9_000_000_000_000_000_000]), np.ones(2))
    assert corrector.last_ns == 9_000_000_000_000_000_000


@COMPILED
def test_priming_continues_as_if_nothing_had_happened(compiled: bool) -> None:
    coefficients = arbitrary_set(np.random.default_rng(3), sections=2)
    t, y = instants(600), walk(600)
    whole = StreamingCorrector(coefficients, compiled=compiled)
    before = whole.process(t[:400], y[:400])
    expected = whole.process(t[400:], y[400:])
    assert before is not None
    assert expected is not None
    fresh = StreamingCorrector(coefficients, compiled=compiled)
    last = fresh.history_length
    fresh.prime(t[400 - last : 400], y[400 - last : 400], emitted_to_ns=InstantNs(int(before.axis.t_ns[-1])))
    span = fresh.process(t[400:], y[400:])
    assert span is not None
    assert np.array_equal(span.axis.t_ns, expected.axis.t_ns)
    np.testing.assert_allclose(span.value, expected.value, atol=2e-3)
    assert np.max(np.abs(span.value - expected.value) / expected.u) < 0.04


@COMPILED
@pytest.mark.parametrize("delay", [3, 7, 15])
def test_a_switch_leaves_no_hole_and_no_duplicate(compiled: bool, delay: int) -> None:
    old = arbitrary_set(np.random.default_rng(3), delay=7)
    new = arbitrary_set(np.random.default_rng(3), delay=delay)
    t, y = instants(300), walk(300)
    first = StreamingCorrector(old, compiled=compiled)
    before = first.process(t[:200], y[:200])
    assert before is not None
    second = StreamingCorrector(new, compiled=compiled)
    m = second.history_length
    second.prime(t[200 - m : 200], y[200 - m : 200], emitted_to_ns=first.emitted_to_ns)
    after = second.process(t[200:], y[200:])
    assert after is not None
    assert np.array_equal(np.concatenate([before.axis.t_ns, after.axis.t_ns]), t[:-delay])
    assert np.isfinite(after.value).all()


def test_a_switch_between_fits_is_bumpless() -> None:
    """Two fits that differ by u: at the switch the value steps by less than its u, and cold it would not."""
    coefficients = set_of("pressure_line")
    n = 1200
    y = 2 * np.sin(2 * np.pi * 2 * 0.01 * np.arange(n)) + 5
    t = instants(n)
    corrector = StreamingCorrector(coefficients)
    before = corrector.process(t[:800], y[:800])
    assert before is not None
    shifted = coefficients.filter.fir * (1 + 0.3 * coefficients.parameters.u[0] / coefficients.parameters.values[0])
    f = coefficients.filter
    changed = CorrectionFilter(f.dt_ns, shifted, f.sos, f.delay, f.sensitivities, f.u_noise, f.u_model, f.band_hz)
    fresh = StreamingCorrector(
        CoefficientSet(
            "set-2",
            coefficients.sensor,
            2,
            "set-1",
            coefficients.parameters,
            changed,
            (0.1, 10.0),
            InstantNs(0),
            coefficients.provenance,
        )
    )
    m = fresh.history_length
    fresh.prime(t[800 - m : 800], y[800 - m : 800], emitted_to_ns=corrector.emitted_to_ns)
    after, unchanged = fresh.process(t[800:], y[800:]), corrector.process(t[800:], y[800:])
    assert after is not None
    assert unchanged is not None
    assert np.array_equal(after.axis.t_ns, unchanged.axis.t_ns)
    step = np.abs(after.value - unchanged.value)
    assert np.all(step < after.u)


def test_unstable_filters_are_not_run() -> None:
    coefficients = arbitrary_set(np.random.default_rng(3))
    f = coefficients.filter
    wild = CorrectionFilter(
        f.dt_ns, f.fir, np.array([[1.0, 0, 0, 1, -2.5, 1.2]]), f.delay, f.sensitivities, 0.0, 0.0, 1.0
    )
    with pytest.raises(InvalidData, match="pole"):
        StreamingCorrector(
            CoefficientSet(
                "x",
                coefficients.sensor,
                1,
                None,
                coefficients.parameters,
                wild,
                (0.1, 10.0),
                InstantNs(0),
                coefficients.provenance,
            )
        )


def test_a_delay_beyond_the_taps_is_allowed() -> None:
    coefficients = arbitrary_set(np.random.default_rng(3), taps=1, delay=5)
    for compiled in {HAVE_NUMBA, False}:
        t, value, u = run(coefficients, instants(40), walk(40), compiled)
        assert np.array_equal(t, instants(35))
        np.testing.assert_allclose(value, walk(40)[5:], rtol=1e-12)
        assert np.isfinite(u).all()


@COMPILED
def test_a_steady_stream_keeps_what_a_hole_will_ask_for(compiled: bool) -> None:
    """Blocks that go on on the grid take a short way: a later hole, jitter or gap finds what it needs all the same."""
    coefficients = arbitrary_set(np.random.default_rng(3), sections=1)
    t = np.delete(instants(900), [400, 401, *range(600, 640)])
    t[700] += 1_000_000
    y = walk(900)[: t.size]
    y[300] = np.nan
    whole = StreamingCorrector(coefficients, compiled=compiled).process(t, y, u_t_ns=2e6)
    assert whole is not None
    assert np.isfinite(whole.value[402]), "the hole is bridged"
    assert np.isnan(whole.value[300])
    corrector = StreamingCorrector(coefficients, compiled=compiled)
    given_t, given_y = np.empty(3, np.int64), np.empty(3)  # a caller's buffers, used again for each block
    spans = []
    for low in range(0, t.size, 3):
        n = min(3, t.size - low)
        given_t[:n], given_y[:n] = t[low : low + n], y[low : low + n]
        span = corrector.process(given_t[:n], given_y[:n], u_t_ns=2e6)
        if span is not None:
            spans.append((span.axis.t_ns.copy(), span.value, span.u))
    found = [np.concatenate(parts) for parts in zip(*spans, strict=True)]
    assert np.array_equal(found[0], whole.axis.t_ns)
    for one, other in zip(found[1:], (whole.value, whole.u), strict=True):
        if compiled:
            np.testing.assert_array_equal(one, other)
        else:
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


@COMPILED
def test_a_steady_stream_takes_memory_of_any_kind_and_refuses_what_it_must(compiled: bool) -> None:
    coefficients = arbitrary_set(np.random.default_rng(3))
    t, y = instants(80), walk(80)
    expected = StreamingCorrector(coefficients, compiled=compiled).process(t, y)
    assert expected is not None
    corrector = StreamingCorrector(coefficients, compiled=compiled)
    first = corrector.process(t[:40], y[:40])
    for bad in (np.nan, -1.0, np.inf):
        with pytest.raises(InvalidData):
            corrector.process(t[40:50], y[40:50], u_t_ns=bad)
    with pytest.raises(InvalidData):
        corrector.process(t[40:50], y[40:49])
    with pytest.raises(InvalidData):
        corrector.process(t[40:50], y[40:50].astype(np.float32))
    frozen = np.frombuffer(y[40:60].tobytes())
    second = corrector.process(np.frombuffer(t[40:60].tobytes(), np.int64), frozen, np.zeros(20, np.uint32))
    third = corrector.process(t[60:], np.repeat(y[60:], 2)[::2])
    assert first is not None
    assert second is not None
    assert third is not None
    for name in ("value", "u"):
        found = np.concatenate([getattr(part, name) for part in (first, second, third)])
        np.testing.assert_allclose(found, getattr(expected, name), rtol=1e-11, atol=1e-12)
