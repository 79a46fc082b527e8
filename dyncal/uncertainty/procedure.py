"""Propagation of distributions by Monte Carlo: a number of draws, or the adaptive procedure of JCGM 101, 7.9.

Draws come in blocks, each with a random stream of its own that is named by seed and block number alone. Of the draws
sums and histograms are kept (`dyncal.uncertainty.accumulate`), so that memory is bounded by the number of outputs.

7.9.4 stops where twice the standard deviations of the means over blocks are below the tolerance. Two or three blocks
tell a standard deviation badly, and those that look stable by chance would end it: here Student's quantile takes the
place of 2 (docs/adr/0016-monte-carlo.md).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.random import SFC64, Generator, SeedSequence

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.uncertainty.accumulate import Accumulator, Frame
from dyncal.uncertainty.inputs import Distribution
from dyncal.uncertainty.result import MonteCarloResult
from dyncal.uncertainty.settings import MonteCarloSettings
from dyncal.uncertainty.validation import numerical_tolerance

Simulation = Callable[[Generator, int], FloatArray]
"""m draws of n outputs: (rng, m) → float64 of shape (n, m). Called from several threads at once."""

Model = Callable[[FloatArray], FloatArray]
"""Outputs of m draws of p inputs at once: (m, p) → (m, n), or (m,) for a single output."""

_LARGEST: Final = 1e140
_SMALLEST: Final = 1e-140
_PROBE: Final = 0
_TWO_SIGMA: Final = 0.97725  # of a normal distribution below 2 σ
_FEWEST_IN_BATCH: Final = 16
_MOST_COVARIANCE: Final = 4096


def stream(seed: int, number: int) -> Generator:
    """Return the random stream of a block: independent of all others, the same on every machine."""
    return Generator(SFC64(SeedSequence(seed, spawn_key=(number,))))


def monte_carlo(
    inputs: Distribution, model: Model, *, seed: int, settings: MonteCarloSettings | None = None
) -> MonteCarloResult:
    """Propagate the distribution of inputs through a model (JCGM 101, 7; JCGM 102, 7 for several outputs).

    Parameters
    ----------
    inputs : Distribution
        Such as `Independent(Normal(…), Trapezoidal(…))` or a `MultivariateNormal`.
    model : callable
        (m, p) → (m, n) or (m,), called with some hundreds of draws at a time.
    seed : int
        Not negative.

    Raises
    ------
    InvalidData
        If the model gives other shapes, or more numbers that are not finite than the settings allow.
    """
    return simulate(simulation_of(inputs, model), seed=seed, settings=settings)


def simulation_of(inputs: Distribution, model: Model) -> Simulation:
    """Return what draws the inputs and evaluates the model."""

    def simulation(rng: Generator, m: int) -> FloatArray:
        outputs = np.asarray(model(inputs.draw(rng, m)))
        if np.iscomplexobj(outputs):
            raise InvalidData("a model gives real outputs; give real and imaginary parts as two")
        outputs = np.asarray(outputs, dtype=np.float64)
        if outputs.ndim not in {1, 2} or outputs.shape[0] != m:
            raise InvalidData(f"a model of {m} draws gives {m} rows of outputs, not shape {outputs.shape}")
        return np.ascontiguousarray(outputs.reshape(m, -1).T)

    return simulation


def simulate(simulation: Simulation, *, seed: int, settings: MonteCarloSettings | None = None) -> MonteCarloResult:
    """Do as `monte_carlo` for a simulation that draws by itself.

    Raises
    ------
    InvalidData
        As `monte_carlo`.
    """
    wishes = settings or MonteCarloSettings()
    if seed < 0:
        raise InvalidData(f"a seed is not negative, and is {seed}")
    run = Draws(simulation, seed, wishes)
    frame = _frame(run)
    total = Accumulator(frame, covariance=wishes.covariance)
    looks = _Looks(wishes)
    for block in _blocks(run, frame):
        looks.take(block)
        total.merge(block)
        if looks.enough(total):
            break
    return _result(total, looks, seed, wishes)


class Draws:
    """The draws of one Monte Carlo, the same each time: blocks of batches, counted from 1."""

    def __init__(self, simulation: Simulation, seed: int, settings: MonteCarloSettings) -> None:
        self._simulation, self._seed, self.settings = simulation, seed, settings
        self.n_outputs = int(self._checked(simulation(stream(seed, _PROBE), 2), 2).shape[0])
        if self.n_outputs == 0:
            raise InvalidData("a model without outputs")
        if settings.covariance and self.n_outputs > _MOST_COVARIANCE:
            raise InvalidData(f"the covariance of {self.n_outputs} outputs is too large; {_MOST_COVARIANCE} at most")
        self._batch = max(settings.batch_bytes // (8 * self.n_outputs), _FEWEST_IN_BATCH)

    @property
    def n_blocks(self) -> int:
        """Most blocks."""
        return -(-(self.settings.n_draws or self.settings.max_draws) // self.settings.block)

    def batches(self, number: int) -> Iterator[FloatArray]:
        """Yield the outputs of a block, each of shape (n_outputs, m): the last block takes what is left."""
        rng = stream(self._seed, number)
        size, n_draws = self.settings.block, self.settings.n_draws
        draws = size if n_draws is None else min(size, n_draws - (number - 1) * size)
        for done in range(0, draws, self._batch):
            m = min(self._batch, draws - done)
            yield self._checked(self._simulation(rng, m), m)

    def _checked(self, values: FloatArray, m: int) -> FloatArray:
        if values.ndim != 2 or values.shape[1] != m:
            raise InvalidData(f"a simulation of {m} draws gives (n, {m}) outputs, not shape {values.shape}")
        return values


def _frame(draws: Draws) -> Frame:
    pilot = next(draws.batches(1))
    good = pilot[:, np.isfinite(pilot).all(axis=0)]
    if good.shape[1] < 2:
        raise InvalidData(f"the model gave no finite numbers in {pilot.shape[1]} draws")
    if float(np.abs(good).max()) > _LARGEST:
        raise InvalidData(f"outputs beyond {_LARGEST:g}: their squares would leave the range of numbers")
    spread = np.ptp(good, axis=1)
    if bool(np.any((spread > 0) & (spread < _SMALLEST))):
        raise InvalidData(f"outputs vary by less than {_SMALLEST:g}: their squares would leave the range of numbers")
    return Frame.of(good, draws.settings.coverage)


def _blocks(draws: Draws, frame: Frame) -> Iterator[Accumulator]:
    """Yield the blocks that may be needed, in order; threads draw some of them ahead."""

    def block(number: int) -> Accumulator:
        made = Accumulator(frame, covariance=draws.settings.covariance)
        for values in draws.batches(number):
            made.add(values)
        return made

    threads, numbers = draws.settings.threads, range(1, draws.n_blocks + 1)
    if threads == 1:
        yield from map(block, numbers)
        return
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[Accumulator]] = deque()
        try:
            for number in numbers:
                ahead.append(pool.submit(block, number))
                if len(ahead) == threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for each in ahead:
                each.cancel()


class _Looks:
    """The figures of each block, and whether their means are stable (JCGM 101, 7.9.4 f to l)."""

    def __init__(self, settings: MonteCarloSettings) -> None:
        self._settings = settings
        self._n = 0
        self._mean: FloatArray = np.zeros(0)
        self._squares: FloatArray = np.zeros(0)

    def take(self, block: Accumulator) -> None:
        """Take the figures of a block."""
        wishes = self._settings
        if block.n_draws < 2:
            raise InvalidData("the model gave no finite numbers in a whole block of draws")
        figures = np.stack([block.value, block.u, *block.interval(wishes.coverage, wishes.interval)])
        if self._n == 0:
            self._mean, self._squares = np.zeros_like(figures), np.zeros_like(figures)
        self._n += 1
        step = figures - self._mean
        self._mean = self._mean + step / self._n
        self._squares = self._squares + step * (figures - self._mean)

    @property
    def spread(self) -> FloatArray:
        """Twice the standard deviation of the means, shape (4, n); more than twice where few blocks tell it."""
        if self._n < 2:
            return np.full_like(self._mean, np.inf)
        from scipy.special import stdtrit  # noqa: PLC0415 - a reader of results alone does not need it

        factor = float(stdtrit(self._n - 1, _TWO_SIGMA))
        return np.asarray(factor * np.sqrt(self._squares / (self._n * (self._n - 1))))

    def tolerance(self, total: Accumulator) -> FloatArray:
        """Return what the spread must not exceed, shape (n,)."""
        return self._settings.tolerance_share * numerical_tolerance(total.u, self._settings.digits)

    def stable(self, total: Accumulator) -> bool:
        """Return whether no figure of any output spreads more; what does not vary may spread by rounding."""
        rounding = 1e-13 * np.abs(total.value)
        return bool(np.all(self.spread <= np.maximum(self.tolerance(total), rounding)))

    def enough(self, total: Accumulator) -> bool:
        """Return whether the adaptive procedure may stop."""
        return self._settings.n_draws is None and self._n >= 2 and self.stable(total)

    @property
    def n(self) -> int:
        """Number of blocks."""
        return self._n


def _result(total: Accumulator, looks: _Looks, seed: int, settings: MonteCarloSettings) -> MonteCarloResult:
    drawn = total.n_draws + total.n_invalid
    if total.n_invalid > settings.max_invalid_share * drawn:
        raise InvalidData(f"the model gave no finite numbers for {total.n_invalid} of {drawn} draws")
    low, high = total.interval(settings.coverage, settings.interval)
    return MonteCarloResult(
        value=total.value,
        u=total.u,
        low=low,
        high=high,
        cov=total.cov,
        n_draws=total.n_draws,
        n_invalid=total.n_invalid,
        n_blocks=looks.n,
        spread=looks.spread,
        tolerance=looks.tolerance(total),
        stable=looks.stable(total),
        seed=seed,
        settings=settings,
    )
