"""A switch of sets on a live stream: its step lies within the stated uncertainty; no instant is lost or doubled."""

from __future__ import annotations

import dataclasses
import math
from functools import partial

import numpy as np
import pytest
from scipy.stats import binom, chi2

from dyncal.contracts.coefficients import seal
from dyncal.domain.coefficients import CoefficientSet
from dyncal.domain.samples import FloatArray, SampleBlock
from dyncal.domain.time import NS_PER_S
from edge_agent.events import DesiredSet, Drain, ShadowSet
from tests.unit.edge_agent.helpers import (
    DT,
    KEY,
    SENSOR,
    T0,
    TAU_S,
    Content,
    coefficient_set,
    engine,
    envelope,
    lagged,
    read,
    records,
    times,
)

N, AT = 900, 500
N_TRIALS = 200
READS = [1, 7, 50, 113, 29]  # samples that come together, in turn
NOISE = 1e-4
U_GAIN, U_TAU = 2e-3, 0.02 * TAU_S


def a_set(sequence: int, rng: np.random.Generator, delay: int = 0) -> CoefficientSet:
    """A set as a calibration would find it: off from the truth by what it states as its uncertainty."""
    cov = np.diag([U_GAIN**2, U_TAU**2])
    gain, tau_s = rng.multivariate_normal([1.0, TAU_S], cov)
    made = coefficient_set(sequence, tau_s=float(tau_s), gain=float(gain), delay=delay)
    a = math.exp(-DT / NS_PER_S / tau_s)
    by_tau = a * DT / NS_PER_S / (tau_s**2 * (1 - a))  # of the exact inverse: dû/dτ = this (1 - z⁻¹)/(1 - a z⁻¹) û
    sensitivities = np.array([[-1 / gain, 0, 0, 0, 0], [by_tau, -by_tau, 0, -a, 0]])
    correction = dataclasses.replace(made.filter, u_noise=NOISE * made.filter.noise_gain, sensitivities=sensitivities)
    return dataclasses.replace(made, parameters=dataclasses.replace(made.parameters, cov=cov), correction=correction)


def live(y: FloatArray, *sets: CoefficientSet, shadow: CoefficientSet | None = None) -> tuple[Content, list[int]]:
    """Correct a stream as it comes, by the first set and from `AT` on by the second; also the instants in order."""
    agent, effects, done = engine(), [], 0
    effects += agent.handle(DesiredSet(SENSOR, envelope(sets[0]), T0))
    if shadow is not None:
        agent.handle(ShadowSet(SENSOR, seal(shadow, KEY, shadow=True), T0))
    k = 0
    while done < y.size:
        stop = min(done + READS[k % len(READS)], y.size)
        if done < AT <= stop and len(sets) > 1:
            stop = AT
        effects += agent.handle(read(times(stop - done, done), y[done:stop]))
        done, k = stop, k + 1
        if done == AT and len(sets) > 1:
            effects += agent.handle(DesiredSet(SENSOR, envelope(sets[1]), T0))
    effects += agent.handle(Drain(T0))
    spans = [r.corrected for r in records(effects) if isinstance(r, SampleBlock) and r.corrected is not None]
    instants = [t for span in spans for t in span.axis.t_ns.tolist()]
    return Content.of(records(effects)), instants


def signal(rng: np.random.Generator) -> FloatArray:
    u = 20 + 5 * np.sin(2 * np.pi * np.arange(N) / rng.uniform(60, 300) + rng.uniform(0, 6))
    return lagged(u) + NOISE * rng.standard_normal(N)


def steps(y: FloatArray, old: CoefficientSet, new: CoefficientSet) -> list[float]:
    """Return, for the instants after a switch, new minus old over the stated u of their difference."""
    switched, _ = live(y, old, new)
    stayed, _ = live(y, old)
    found = []
    for t in times(50, AT).tolist():
        value, u, name = switched.corrected[t]
        before, u_before, _ = stayed.corrected[t]
        assert name == new.id
        found.append(float((value - before) / np.hypot(u, u_before)))
    return found


def test_the_step_of_a_switch_lies_within_the_stated_uncertainty() -> None:
    """At the first instant of the new set, over independent trials; and at those that follow on average."""
    found = []
    for seed in range(N_TRIALS):
        rng = np.random.default_rng([seed, 1])
        found.append(steps(signal(rng), a_set(1, rng), a_set(2, rng)))
    every = np.abs(np.array(found))
    first = every[:, 0]
    # Of normal deviations 95.4 % lie within two standard uncertainties; fewer only by chance.
    assert np.count_nonzero(first <= 2) >= binom.ppf(1e-3, N_TRIALS, 0.954)
    assert np.mean(every <= 2) >= 0.93
    # And it is no larger than it has to be: their spread is that of standard deviations, at the tails too.
    low, high = (float(chi2.ppf(p, N_TRIALS)) for p in (1e-3, 1 - 1e-3))
    assert low <= np.sum(first**2) <= high
    assert np.count_nonzero(first > 3) <= binom.ppf(1 - 1e-3, N_TRIALS, 0.0027)


@pytest.mark.parametrize("delays", [(0, 0), (0, 9), (9, 0), (4, 7)])
def test_no_instant_is_lost_or_doubled_and_raw_samples_are_untouched(delays: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    y = signal(rng)
    make = partial(a_set, rng=rng)
    content, instants = live(y, make(1, delay=delays[0]), make(2, delay=delays[1]), shadow=make(3))
    assert instants == sorted(set(instants))
    expected = times(N - delays[1]).tolist()
    assert instants == expected
    assert [content.raw[t][0] for t in times(N).tolist()] == y.tolist()
    assert content.n_raw == N
    assert content.sequences == list(range(len(content.sequences)))
