"""What has changed, on blocks whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from dyncal.domain.errors import InvalidData
from dyncal.domain.health import Attribution, Cause
from dyncal.domain.samples import FloatArray
from dyncal.drift.attribution import FEWEST, Pair, attribute, common_of, settled
from dyncal.drift.evidence import Quadratics, evidence, scatter
from dyncal.drift.ledger import CAPACITY, BlockLedger
from dyncal.drift.process import effects, features
from tests.unit.drift.blocks import SECOND, Block

NAMES = ("gain", "tau_s")
COV = np.diag([0.003**2, 0.01**2])
N = 120


@dataclass
class Bench:
    """Three pairs of one reference over N blocks; what changes is added to logarithms of gain and to lags."""

    seed: int
    u_gain: float = 0.003

    def __post_init__(self) -> None:
        self.cov = np.diag([self.u_gain**2, 0.01**2])
        self.until = np.full(3, N)  # blocks after which a pair says nothing more
        self.rng = np.random.default_rng(self.seed)
        self.taus = np.array([1.0, 0.6, 1.5])
        self.gain, self.lag = np.zeros((N, 3)), np.zeros((N, 3))
        self.process = np.zeros((N, 3))  # level, ln size, ln pace
        self.seen = np.ones(4)  # by reference and each indication

    def pairs(self) -> list[Pair]:
        made = []
        noise = 0.3 * self.rng.standard_normal((N, 3))
        for i, tau in enumerate(self.taus.tolist()):
            ledger = BlockLedger(2)
            for b in range(int(self.until[i])):
                theta = np.array([1.0 + self.gain[b, i], tau + self.lag[b, i]])
                said = self.rng.multivariate_normal(theta, self.cov)
                block = Block((b + 1) * 2 * SECOND, said, self.cov, theta=theta)
                told = np.stack([self.process[b] * self.seen[0], self.process[b] * self.seen[1 + i]]) + noise[b]
                ledger.add(block, told)
            values = np.array([1.0, tau])
            made.append(Pair(ledger, values, common_of(NAMES, values)))
        return made

    def told(self) -> Attribution:
        own, *others = self.pairs()
        found = attribute(own, others)
        assert found is not None
        assert found.sensor + found.reference + found.process + found.nothing == pytest.approx(1)
        return found


def ramp(begin: int, size: float) -> FloatArray:
    return np.asarray(size * np.clip((np.arange(N) - begin) / (N - begin), 0, 1), dtype=np.float64)


def step(begin: int, size: float) -> FloatArray:
    return np.asarray(size * (np.arange(N) >= begin), dtype=np.float64)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("course", [ramp, step])
def test_one_pair_alone_that_changes_has_a_changed_sensor(seed: int, course: object) -> None:
    bench = Bench(seed)
    bench.lag[:, 0] = course(60, 0.05)  # type: ignore[operator]
    assert bench.told().cause is Cause.SENSOR


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("course", [ramp, step])
def test_all_gains_that_change_alike_have_a_changed_reference(seed: int, course: object) -> None:
    bench = Bench(seed)
    bench.gain[:] = -course(60, 0.03)[:, None]  # type: ignore[operator]
    assert bench.told().cause is Cause.REFERENCE


def held_ramp(begin: int, end: int, size: float) -> FloatArray:
    return np.asarray(size * np.clip((np.arange(N) - begin) / (end - begin), 0, 1), dtype=np.float64)


@pytest.mark.parametrize("seed", range(4))
def test_gains_that_go_up_along_a_line_and_stay_have_a_changed_reference(seed: int) -> None:
    """No step and no line fits that where blocks know gains well: of what is refuted the least wrong looks certain."""
    bench = Bench(seed, u_gain=0.0002)
    bench.gain[:] = -held_ramp(60, 75, 0.04)[:, None]
    assert bench.told().cause is Cause.REFERENCE


@pytest.mark.parametrize("seed", range(4))
def test_neighbours_that_fall_silent_while_a_reference_drifts_clear_the_sensor(seed: int) -> None:
    bench = Bench(seed, u_gain=0.0002)
    bench.gain[:] = -held_ramp(60, 75, 0.04)[:, None]
    bench.until[:] = N, 70, 66
    assert bench.told().cause is Cause.REFERENCE


@pytest.mark.parametrize("seed", range(4))
def test_one_gain_that_goes_up_along_a_line_and_stays_is_that_of_the_sensor(seed: int) -> None:
    bench = Bench(seed, u_gain=0.0002)
    bench.gain[:, 0] = -held_ramp(60, 75, 0.04)
    bench.until[1] = 66
    assert bench.told().cause is Cause.SENSOR


@pytest.mark.parametrize("seed", range(4))
def test_what_goes_with_the_process_again_and_again_is_the_process(seed: int) -> None:
    bench = Bench(seed)
    for begin in range(20, N, 40):
        bench.process[begin : begin + 20, 1] = 1.0
    bench.lag[:, 0] = 0.08 * bench.process[:, 1]
    found = bench.told()
    assert found.cause is Cause.PROCESS


def test_a_process_that_never_mattered_is_no_explanation() -> None:
    bench = Bench(7)
    for begin in range(20, N, 40):
        bench.process[begin : begin + 20, 1] = 1.0
    bench.lag[:, 0] = step(100, 0.06)  # as a disturbance begins, too
    found = bench.told()
    assert found.cause is Cause.SENSOR


@pytest.mark.parametrize("seed", range(4))
def test_neighbours_that_have_changed_for_themselves_do_not_make_a_process_the_sensor(seed: int) -> None:
    bench = Bench(seed)
    for begin in range(20, N, 40):
        bench.process[begin : begin + 20, 1] = 1.0
    bench.lag[:] = 0.08 * bench.process[:, 1:2]
    bench.lag[:, 1] += step(50, 0.15)
    bench.lag[:, 2] += step(90, 0.3)
    assert bench.told().cause in (Cause.PROCESS, Cause.CANNOT_TELL)


def test_a_change_of_all_lags_in_proportion_is_not_laid_at_the_references_door() -> None:
    bench = Bench(3)
    bench.lag[:] = step(60, 0.08)[:, None] * bench.taus
    assert bench.told().cause in (Cause.PROCESS, Cause.CANNOT_TELL)


def test_where_nothing_has_changed_nothing_is_most_likely() -> None:
    found = Bench(5).told()
    assert found.nothing > 0.9
    assert found.cause is Cause.CANNOT_TELL


def test_a_pair_alone_cannot_tell_sensor_from_reference() -> None:
    bench = Bench(2)
    bench.lag[:, 0] = step(60, 0.05)
    found = attribute(bench.pairs()[0])
    assert found is not None
    assert found.cause is Cause.SENSOR_OR_REFERENCE
    assert min(found.sensor, found.reference) > 0.2
    assert settled(found, alone=True)
    assert not settled(found, alone=False)


def test_a_second_reference_convicts_or_clears_the_first() -> None:
    for changed in (True, False):
        bench = Bench(4)
        bench.gain[:, 0] = -step(60, 0.03)
        if changed:
            bench.gain[:, 1] = step(60, 0.03)
        own, above, _ = bench.pairs()
        found = attribute(own, above=above)
        assert found is not None
        assert (found.reference if changed else found.sensor) > 0.8


def test_too_few_blocks_are_not_asked() -> None:
    ledger = BlockLedger(2)
    assert attribute(Pair(ledger, np.ones(2), np.zeros((2, 2)))) is None
    assert FEWEST > 2
    assert not settled(None, alone=True)


@pytest.mark.parametrize(
    ("names", "values", "row"),
    [
        (("gain", "tau_s"), (2.0, 0.5), (1, 1.0)),
        (("gain", "damping", "f0_hz"), (1.0, 0.3, 5.0), (1, 5 * np.pi)),
        (("gain", "tau1_s", "tau2_s", "tauz_s"), (1.0, 3.0, 0.5, 4.0), (1, 1.0)),
        (("gain", "tau_s", "delay_s"), (1.0, 3.0, 0.5), (2, 1.0)),
    ],
)
def test_gain_and_lag_show_in_the_parameters_that_have_them(
    names: tuple[str, ...], values: tuple[float, ...], row: tuple[int, float]
) -> None:
    common = common_of(names, np.array(values))
    assert common[0].tolist() == [values[0], 0.0]
    assert np.flatnonzero(common[:, 1]).tolist() == [row[0]]
    assert common[row[0], 1] == pytest.approx(row[1])
    with pytest.raises(InvalidData):
        common_of(names, np.ones(9))


def test_the_marginal_likelihood_is_the_integral() -> None:
    a, h = np.array([[4.0, 1.0], [1.0, 2.0]]), np.array([1.5, -0.7])
    grid = np.linspace(-6, 6, 601)
    d = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1)
    log = d @ h - np.einsum("...i,ij,...j->...", d, a, d) / 2 - (d**2).sum(axis=-1) / 2 - np.log(2 * np.pi)
    integral = float(np.log(np.exp(log).sum() * (grid[1] - grid[0]) ** 2))
    assert Quadratics(a, h).marginal() == pytest.approx(integral, abs=1e-6)
    slack = np.diag([0.3, 0.1])
    loose, factor = Quadratics(a, h).loosened(slack)
    both = Quadratics(a, h)
    total = np.linalg.cholesky(np.eye(2) + slack)
    direct = Quadratics(total.T @ both.a @ total, both.h @ total).marginal()
    assert loose.marginal() + factor == pytest.approx(direct, abs=1e-9)


def test_evidence_agrees_with_a_regression_done_at_length() -> None:
    rng = np.random.default_rng(0)
    n, p, q = 15, 2, 3
    roots = rng.normal(size=(n, p, p))
    information = roots @ np.swapaxes(roots, -1, -2) + np.eye(p)
    theta, phi = rng.normal(size=(n, p)), rng.normal(size=(n, q))
    vectors = np.einsum("nij,nj->ni", information, theta)
    at_ns = np.cumsum(rng.integers(1, 9, size=n)).astype(np.int64) * SECOND
    expected = np.array([0.3, 0.7])
    found = evidence(at_ns, information, vectors, phi, expected)

    def at_length(columns: list[FloatArray]) -> float:
        """Of y = X beta + e with a flat mean: marginal over all beta by generalised least squares."""
        design = np.concatenate(
            [np.concatenate([c[b] * np.diag(expected) for c in columns] + [np.eye(p)], axis=1) for b in range(n)]
        )
        weight = np.zeros((n * p, n * p))
        for b in range(n):
            weight[b * p : b * p + p, b * p : b * p + p] = information[b]
        m = design.shape[1] - p
        prior = np.diag([1.0] * m + [0.0] * p)
        matrix = design.T @ weight @ design + prior
        y = theta.ravel()
        score = design.T @ weight @ y
        value = score @ np.linalg.solve(matrix, score) / 2 - np.linalg.slogdet(matrix)[1] / 2
        return float(value)

    nothing = at_length([])
    w = np.where(at_ns > at_ns[6], 1.0, 0.0)
    line = np.clip((at_ns - at_ns[6]) / (at_ns[-1] - at_ns[6]), 0, None)
    rows = [phi[:, j] for j in range(q)]
    assert found.process == pytest.approx(at_length(rows) - nothing)
    for shape, course in enumerate((w, line)):
        assert found.alone.marginal()[6, shape] == pytest.approx(at_length([course]) - nothing)
        both = at_length([course, *rows]) - nothing
        assert found.beside.marginal()[6, shape] + found.process == pytest.approx(both)


def test_scatter_is_that_of_the_blocks_also_where_it_is_coloured() -> None:
    rng = np.random.default_rng(1)
    information = np.tile(np.linalg.inv(COV), (300, 1, 1))
    white = rng.multivariate_normal(np.zeros(2), COV, 300)
    wide = np.repeat(rng.multivariate_normal(np.zeros(2), COV, 75), 4, axis=0)
    for values, low, high in ((white, 1.0, 1.6), (3 * white, 7.0, 13.0), (wide, 2.5, 6.5)):
        found = scatter(information, np.einsum("nij,nj->ni", information, values))
        assert low <= found <= high


def test_features_say_level_size_and_pace() -> None:
    t = np.arange(210)  # ten periods
    found = features(5 + 2 * np.sin(0.3 * t))
    assert found == pytest.approx([5, np.log(2 / np.sqrt(2)), np.log(0.3)], abs=0.05)
    assert np.isnan(features(np.ones(20))).all()
    assert np.isnan(features(np.arange(4.0))).all()


def test_a_process_at_rest_did_nothing() -> None:
    bench = Bench(1)
    ledger = bench.pairs()[0].ledger
    phi, _ = effects(ledger.features, ledger.information, ledger.vectors)
    assert not phi.any()


def test_a_ledger_is_bounded_and_comes_back() -> None:
    ledger, rng = BlockLedger(2), np.random.default_rng(0)
    total, unknown = np.zeros((2, 2)), np.full((2, 3), np.nan)
    for b in range(3 * CAPACITY):
        block = Block((b + 1) * SECOND, rng.normal(size=2), COV)
        ledger.add(block, unknown if b % 7 == 0 else rng.normal(size=(2, 3)))
        total += block.information
    assert len(ledger) <= CAPACITY
    assert ledger.information.sum(axis=0) == pytest.approx(total)
    assert bool(np.all(np.diff(ledger.at_ns) > 0))
    again = BlockLedger.restore(ledger.snapshot())
    assert np.array_equal(again.vectors, ledger.vectors)
    assert np.array_equal(again.features, ledger.features, equal_nan=True)
    ledger.add(Block(0, np.zeros(2), COV, excited=False), unknown)
    assert len(again) == len(ledger)


@pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x83\xa1p\x02"])
def test_a_damaged_ledger_is_refused(damage: bytes) -> None:
    with pytest.raises(InvalidData):
        BlockLedger.restore(damage)
    whole = BlockLedger(2)
    whole.add(Block(SECOND, np.ones(2), COV), np.zeros((2, 3)))
    with pytest.raises(InvalidData):
        BlockLedger.restore(whole.snapshot()[:-1] + damage)
