"""Monte Carlo of the correction of a record by a fixed-lag smoother, at any instants.

The smoother is linear in the indications, û = W y, its weights being what its gains make them: they are found by
carrying as many unit indications along. A draw takes noise n, parameters θ, one error ε of the clock, and what of the
measurand is not resolved within the lag,

    û_n = û + W n,      value = û_n + F⁻¹{ (H(ω; θ̂)/H(ω; θ) e^(iωε) - 1) F{û_n} } + m,

with the exact H at each draw. The transform runs over û on a fine grid, as the smoother gives it there too, so that
neither the straight lines between values nor the linearisation that are to be judged take part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.random import Generator

from dyncal.correction.monte_carlo.record import LONGEST, CorrectedMonteCarlo, Inputs, memory, padded
from dyncal.correction.smoother.account import Account, AccountingSmoother, Rows
from dyncal.correction.smoother.build import model_of
from dyncal.correction.smoother.model import SmootherModel
from dyncal.correction.smoother.stream import StreamingSmoother
from dyncal.domain.coefficients import CorrectionSmoother, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, DurationNs, Int64Array
from dyncal.uncertainty.inputs import MultivariateNormal
from dyncal.uncertainty.procedure import simulate
from dyncal.uncertainty.response import ComplexArray, Response, responses
from dyncal.uncertainty.settings import MonteCarloSettings

_TURN: Final = 0.1  # of the measurand's corner in an interval of the grid [rad]
_FINEST: Final = 8  # of them in a nominal interval, at most
_MOST: Final = 4096  # samples: weights are as many squared
_TOGETHER: Final = 64  # draws transformed at a time


def of_smoother(
    correction: CorrectionSmoother,
    parameters: Parameters,
    response: Response,
    t_ns: Int64Array,
    y: FloatArray,
    inputs: Inputs,
    *,
    seed: int,
    settings: MonteCarloSettings | None,
) -> CorrectedMonteCarlo:
    """Return the Monte Carlo of a record, float64 of shape (n,), finite. Raises as `correction_monte_carlo`."""
    if not 2 <= y.size <= _MOST:
        raise InvalidData(f"the Monte Carlo of a smoother takes 2 to {_MOST} samples, not {y.size}")
    model, drawn_from = model_of(correction, parameters), MultivariateNormal(parameters.values, parameters.cov)
    weights = Weights(model, y.size)
    account = AccountingSmoother(model, parameters, weights).record(t_ns, y, 0.0)
    if not account.at.size:
        raise InvalidData(f"the record is not longer than the latency of {correction.latency_ns / NS_PER_S:g} s")
    share = np.concatenate(weights.told)[account.row]
    unresolved = np.sqrt(np.maximum(account.whole - model.noise_variance * np.sum(share**2, axis=1), 0.0))
    noise = share.T * (math.sqrt(model.noise_variance) if inputs.noise_std is None else inputs.noise_std)
    turn = max(correction.corner_rad_s * correction.dt_ns / NS_PER_S / _TURN, 1.0)
    course = _Course.of(model, parameters, t_ns, y, account, min(math.ceil(turn), _FINEST))
    here = response.frequency_response(parameters.values, course.f_hz)

    def moved(rng: Generator, value: FloatArray) -> FloatArray:
        """Return values, shape (m, n), and what other parameters and another clock make of them."""
        h = responses(response, drawn_from.draw(rng, value.shape[0]), course.f_hz)
        with np.errstate(all="ignore"):  # a response of 0 gives what is not finite, which is counted
            lines = here / h
            if inputs.u_t_s > 0:
                late = inputs.u_t_s * rng.standard_normal((value.shape[0], 1))
                lines *= np.exp(2j * np.pi * course.f_hz * late)
            return value + course.through(lines - 1, value)

    def simulation(rng: Generator, m: int) -> FloatArray:
        values = account.value + rng.standard_normal((m, y.size)) @ noise
        for first in range(0, m, _TOGETHER):
            some = slice(first, first + _TOGETHER)
            values[some] = moved(rng, values[some])
        values += unresolved * rng.standard_normal(values.shape)
        return np.ascontiguousarray(values.T)

    result = simulate(simulation, seed=seed, settings=settings)
    return CorrectedMonteCarlo(slice(0, account.at.size), account.value, result)


class Weights:
    """What the indications weigh in state and entries: one after another is 1, and the others 0."""

    def __init__(self, model: SmootherModel, n: int) -> None:
        self._state = np.zeros((model.observe.size, n))
        self._entries = Rows(n)
        self._taken = 0
        self.told: list[FloatArray] = []

    def move(self, phi: FloatArray, first: int, last: int) -> None:
        """Let time pass."""
        self._state = phi @ self._state

    def register(self, row: int, measurand: FloatArray) -> None:
        """Make an entry of m·x."""
        self._entries.put(row, measurand @ self._state)

    def compact(self, first: int, last: int) -> None:
        """Bring rows first to last to the front."""
        self._entries.compact(first, last)

    def measure(self, observe: FloatArray, gain: FloatArray, learnt: FloatArray, first: int, last: int) -> None:
        """Take the next indication."""
        surprise = -(observe @ self._state)
        surprise[self._taken] += 1.0
        self._taken += 1
        self._state += np.outer(gain, surprise)
        self._entries.held[first:last] += np.outer(learnt, surprise)

    def tell(self, first: int, n: int) -> None:
        """Note the weights of n entries."""
        self.told.append(self._entries.held[first : first + n].copy())


@dataclass(frozen=True, slots=True, eq=False)
class _Course:
    """Corrected values on a fine uniform grid, and the way there from the record's instants and back.

    Attributes
    ----------
    f_hz : float64, shape (n_f,)
    value : float64, shape (n_fine,)
        What the smoother says on the grid.
    rest : int
        Fine instants put before and behind, so that the transform sees no edge.
    there, back : float64, shapes (n_fine,) and (n,)
        Where the grid lies among the record's instants, and these on the grid: places, counted from 0.
    nominal : float64, shape (n,)
        The record's values, from which those of a draw differ.
    """

    f_hz: FloatArray
    value: FloatArray
    rest: int
    there: FloatArray
    back: FloatArray
    nominal: FloatArray

    @classmethod
    def of(
        cls,
        model: SmootherModel,
        parameters: Parameters,
        t_ns: Int64Array,
        y: FloatArray,
        account: Account,
        finer: int,
    ) -> _Course:
        """Lay out a record, with `finer` instants of the grid in a nominal interval."""
        fine_ns = max(model.dt_ns // finer, 1)
        told = t_ns[account.at] - t_ns[0]
        n_fine = int(told[-1]) // fine_ns + 2
        dt_s = fine_ns / NS_PER_S
        rates = np.linalg.eigvals(model.s_drift).real if model.s_drift.size else np.zeros(0)
        rest = memory(np.exp(rates * dt_s).tolist())
        if n_fine + 2 * rest > LONGEST:
            raise InvalidData(f"a record as long as {n_fine} intervals of {fine_ns} ns; {LONGEST} at most")
        grid = fine_ns * np.arange(n_fine)
        f_hz = np.fft.rfftfreq(padded(np.zeros(n_fine), rest).size, dt_s)
        return cls(
            f_hz=np.asarray(f_hz, np.float64),
            value=_between(model, parameters, t_ns, y, t_ns[0] + grid),
            rest=rest,
            there=np.interp(grid, told, np.arange(told.size)),
            back=told / fine_ns,
            nominal=account.value,
        )

    def through(self, lines: ComplexArray, value: FloatArray) -> FloatArray:
        """Return what a filter of this response, shape (m, n_f), gives at the record's instants for values (m, n)."""
        known = self.value + _at(self.there, value - self.nominal)
        length = 2 * (self.f_hz.size - 1)
        found = np.fft.irfft(np.fft.rfft(padded(known, self.rest), axis=1) * lines, length, axis=1)
        return _at(self.back, found[:, self.rest : self.rest + self.value.size])


def _at(places: FloatArray, rows: FloatArray) -> FloatArray:
    """Return rows, shape (m, n), at places between their columns, by straight lines."""
    whole = np.minimum(places.astype(np.int64), max(rows.shape[1] - 2, 0))
    after = np.minimum(whole + 1, rows.shape[1] - 1)
    share = places - whole
    return np.asarray(rows[:, whole] * (1 - share) + rows[:, after] * share, np.float64)


def _between(
    model: SmootherModel, parameters: Parameters, t_ns: Int64Array, y: FloatArray, asked: Int64Array
) -> FloatArray:
    """Return what the smoother says of instants at which nothing was measured too."""
    every = np.union1d(t_ns, asked)
    measured = np.full(every.size, np.nan)
    measured[np.searchsorted(every, t_ns)] = y
    finer = replace(model, dt_ns=DurationNs(max(model.dt_ns // (2 * _FINEST), 1)))  # room for that many entries
    span = StreamingSmoother(finer, parameters, "", fill=True).process(every, measured)
    if span is None:
        raise InvalidData("the record is not longer than the latency")
    return np.asarray(np.interp(asked, span.axis.t_ns, span.value), np.float64)
