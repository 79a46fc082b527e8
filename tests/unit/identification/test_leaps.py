"""Values that a channel leaps to and back from, left out before a block is looked at."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from dyncal import kernels
from dyncal.domain.samples import FloatArray
from dyncal.identification import OnlineEstimator
from dyncal.identification.online.fleet import leaps
from dyncal.identification.online.fleet.leaps import leave_out
from dyncal.models import model_of
from tests.unit.identification.plant import PRESSURE, THERMOCOUPLE, Plant, changed

N = 200


def left_out(x: FloatArray, known: float = np.nan, n: int | None = None, channel: int = 0) -> tuple[list[int], float]:
    """Which samples of a channel are left out of `n`, and the value that it is known to drop out to then."""
    values = np.random.default_rng(9).normal(size=(2, 1, x.size))
    values[channel, 0] = x
    other, levels, count = values[1 - channel].copy(), np.full((1, 2), np.nan), np.zeros(1, dtype=np.int64)
    levels[0, channel] = known
    one, whole = np.zeros(1, dtype=np.int64), np.array([n or x.size], dtype=np.int64)
    leave_out(one, one, whole, values, levels, count)
    gone = np.flatnonzero(np.isnan(values[channel, 0]) & ~np.isnan(x))
    assert count[0] == gone.size
    assert np.array_equal(values[1 - channel], other)
    assert np.array_equal(np.delete(values[channel, 0], gone), np.delete(x, gone), equal_nan=True)
    return gone.tolist(), float(levels[0, channel])


def record(seed: int = 1, level: float = 5.0, n: int = N) -> FloatArray:
    walk = lfilter([1.0], [1.0, -0.95], np.random.default_rng(seed).normal(size=n + 100))[100:]
    return np.asarray(level + walk / np.std(walk), dtype=np.float64)


@pytest.mark.parametrize("channel", [0, 1])
@pytest.mark.parametrize("value", [0.0, 50.0, -9999.0])
def test_what_leaps_to_a_value_and_back_is_left_out(value: float, channel: int) -> None:
    x = record()
    where = [3, 40, 41, 90, 120, 121, 122, 196]
    x[where] = value
    assert left_out(x, channel=channel) == (where, value)


def test_spikes_and_two_values_are_found_one_after_the_other() -> None:
    x = record(level=8.0)
    x[20], x[60], x[[100, 150]], x[170] = 400.0, -31.7, 9999.0, 0.0
    assert left_out(x)[0] == [20, 60, 100, 150, 170]


def test_values_that_are_missing_are_passed_over() -> None:
    x = record()
    x[[40, 42]], x[41], x[100] = np.nan, 0.0, 0.0
    assert left_out(x)[0] == [41, 100]
    assert left_out(np.full(N, np.nan))[0] == []


def test_a_leap_is_not_judged_before_it_is_over() -> None:
    x = record()
    x[[0, N - 1]] = 0.0
    assert left_out(x)[0] == []
    x[-2:] = 5.0, 5.1
    x[-3] = 0.0
    assert left_out(x, n=N - 2)[0] == []
    assert left_out(x)[0] == [0, N - 3]  # the same value before it is known then


def test_a_known_value_is_left_out_wherever_it_is() -> None:
    x = record(level=0.5)
    x[[30, 80, 81, 130]] = 0.0
    among = left_out(x)[0]
    assert among != [30, 80, 81, 130]
    assert left_out(x, known=0.0)[0] == [30, 80, 81, 130]


def test_a_known_value_stays_where_others_come_again_too() -> None:
    x = np.round(record(level=0.5), 1)
    assert np.count_nonzero(x == 0.0) > 0
    assert left_out(x, known=0.0)[0] == []


@pytest.mark.parametrize("seed", range(10))
def test_healthy_channels_lose_nothing(seed: int) -> None:
    x, t = record(seed), np.arange(N)
    bits = np.sign(np.random.default_rng(seed).normal(size=N))
    noise = np.random.default_rng(seed).normal(size=N)
    steps = np.where(t % 50 < 25, 5.0, 0.0) + 0.01 * noise
    shock = np.where((t >= 90) & (t < 96), 20 * np.sin((t - 90) * np.pi / 6), 0.0) + 0.01 * noise
    clipped = np.minimum(x, np.quantile(x, 0.9))
    for healthy in (x, noise, np.round(x, 1), np.round(x), clipped, bits, bits + 0.01 * noise, steps, shock, np.sin(t)):
        assert left_out(healthy)[0] == []


def test_a_pulse_of_a_command_is_kept() -> None:
    x = np.zeros(N)
    x[[50, 100, 150]] = 1.0
    assert left_out(x)[0] == []


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("plant", [THERMOCOUPLE, PRESSURE], ids=lambda plant: str(plant.kind))
@pytest.mark.parametrize("seed", range(3))
def test_leaps_that_the_indication_answers_are_kept(seed: int, plant: Plant, *, answered: bool) -> None:
    rng = np.random.default_rng(seed)
    blows = [30, 75, 120, 165]
    x = np.zeros(N)
    x[blows] = rng.uniform(3, 5, size=4)
    t_ns = np.arange(N, dtype=np.int64) * plant.dt_ns
    moves = x if answered else np.zeros(N)
    y = model_of(plant.kind).simulate(np.array(plant.theta), t_ns, moves)
    values = np.stack([y + 1e-3 * rng.normal(size=N), x + 1e-3 * rng.normal(size=N)])[:, None].copy()
    one, whole = np.zeros(1, dtype=np.int64), np.array([N], dtype=np.int64)
    count = np.zeros(1, dtype=np.int64)
    leave_out(one, one, whole, values, np.full((1, 2), np.nan), count)
    assert np.flatnonzero(np.isnan(values[1, 0])).tolist() == ([] if answered else blows)
    assert count[0] == np.count_nonzero(np.isnan(values))


def test_dropouts_among_answered_leaps_are_left_out() -> None:
    rng = np.random.default_rng(1)
    x = np.full(N, 5.0)
    x[[30, 75, 120, 165]] += rng.uniform(3, 5, size=4)
    y = model_of(THERMOCOUPLE.kind).simulate(np.array([1.0, 1.0]), np.arange(N) * THERMOCOUPLE.dt_ns, x)
    values = np.stack([y + 1e-3 * rng.normal(size=N), x + 1e-3 * rng.normal(size=N)])[:, None].copy()
    dropped = [50, 51, 100, 140]
    values[1, 0, dropped] = 0.0
    one, whole = np.zeros(1, dtype=np.int64), np.array([N], dtype=np.int64)
    leave_out(one, one, whole, values, np.full((1, 2), np.nan), np.zeros(1, dtype=np.int64))
    assert np.flatnonzero(np.isnan(values[1, 0])).tolist() == dropped


@pytest.mark.skipif(not kernels.HAVE_NUMBA, reason="numba is not installed: the function runs as it stands")
def test_the_compiled_kernel_equals_its_python_function(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    values = np.stack([[record(seed) for seed in range(6)], [record(seed, 0.5) for seed in range(6, 12)]])
    values[rng.random(values.shape) < 0.02] = 0.0
    values[rng.random(values.shape) < 0.02] = np.nan
    results = []
    known_there = vars(leaps).copy()
    for each in (leave_out, getattr(leave_out, "py_func", leave_out)):
        if each is not leave_out:  # its helpers, too, as they stand
            for name, helper in known_there.items():
                monkeypatch.setattr(leaps, name, getattr(helper, "py_func", helper))
        there, known, count = values.copy(), np.full((6, 2), np.nan), np.zeros(6, dtype=np.int64)
        who = np.array([4, 1, 5], dtype=np.int64)
        each(who, np.array([0, 20, 7]), np.array([150, 180, 193]), there, known, count)
        results.append((there, known, count))
    for compiled, plain in zip(*results, strict=True):
        assert np.array_equal(compiled, plain, equal_nan=True)
    assert count[[4, 1, 5]].min() > 0


@pytest.mark.parametrize("channel", ["indication", "reference"])
def test_dropouts_do_not_reach_an_estimate(channel: str) -> None:
    record = THERMOCOUPLE.record(4000, seed=3)
    far = changed(record, y=record.indication + 8, r=record.reference + 8)
    lost = np.random.default_rng(5).random(4000) < 0.01
    y, r = far.indication.copy(), far.reference.copy()
    (y if channel == "indication" else r)[lost] = 0.0
    given = {}
    for name, each in (("healthy", far), ("dropouts", changed(far, y=y, r=r))):
        estimator = OnlineEstimator(THERMOCOUPLE.kind, THERMOCOUPLE.dt_ns)
        for begin in range(0, 4000, 40):  # as a stream brings them
            part = slice(begin, begin + 40)
            estimator.update(type(each)(each.t_ns[part], each.indication[part], each.reference[part]))
        assert estimator.estimate is not None
        assert estimator.estimate.accepted, estimator.estimate.detail
        given[name] = estimator.estimate
    healthy, found = (given[name].parameters for name in ("healthy", "dropouts"))
    assert healthy is not None
    assert found is not None
    assert np.all(np.abs(found.values - healthy.values) < 2 * found.u)
    assert np.all(found.u < 1.5 * healthy.u)
    assert "leapt and came back" not in given["healthy"].detail
    n = int(given["dropouts"].detail.rpartition("; ")[2].partition(" ")[0])
    assert np.count_nonzero(lost[:3900]) <= n <= np.count_nonzero(lost)
