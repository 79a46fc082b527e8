"""Shocks outside the band that a correction was designed for: u does not cover them, and the watch must say so.

A trial adds a half-sine shock of a tenth of the sensor's time, of 0.1 to 100 standard deviations of the measurand, to a
measurand as stated, and asks the watch about the 400 samples around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

import numpy as np

from dyncal.correction.design.events import event_term, find_events, half_sine, with_events
from dyncal.correction.design.watch import Watch, Word
from dyncal.correction.streaming.record import correct
from dyncal.domain.samples import FloatArray
from tests.evidence import Figure, coverage
from tests.statistical.harness import Experiment
from tests.unit.correction.examples import ALL, Case, designed

N, AT, FINER = 1200, 900, 16
SEEN = slice(700, 1100)
DURATION_S = {"pressure_line": 0.02, "thermocouple": 0.3}


@cache
def _watch(name: str) -> Watch:
    case = ALL[name]
    return Watch(case.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum)


def _shock(case: Case, at: float, size: float, duration_s: float) -> tuple[FloatArray, FloatArray]:
    """Return a half-sine at the samples' instants and what the sensor makes of it."""
    t = case.dt_s * (np.arange(FINER * N) / FINER - at)
    pulse = np.where((t >= 0) & (t <= duration_s), size * np.sin(np.pi * t / duration_s), 0.0)
    f_hz = np.fft.rfftfreq(t.size, case.dt_s / FINER).astype(np.float64)
    seen = np.fft.irfft(np.fft.rfft(pulse) * case.model.frequency_response(case.theta, f_hz), t.size)
    return pulse[::FINER], seen[::FINER]


def _trial(name: str, seed: int) -> FloatArray:
    """Return rms error over u in the event, what the watch says with and without the shock, and coverage by events."""
    case, f, duration_s = ALL[name], designed(name).filter, DURATION_S[name]
    rng = np.random.default_rng([seed, 8])
    measurand, y = case.simulate(rng, N)
    size = 10 ** rng.uniform(-1.0, 2.0)
    pulse, seen = _shock(case, AT + rng.random(), size, duration_s)
    value, u = correct(f, case.parameters, y + seen)
    error = value - measurand - pulse
    event = find_events(pulse, 1e-9 * size, f, duration_s)
    of_event = with_events(u, f, event, event_term(f, case.parameters, half_sine(size, duration_s), duration_s).u)
    said, calm = _watch(name).of((y + seen)[SEEN]), _watch(name).of(y[SEEN])
    return np.array(
        [
            np.sqrt(np.mean(error[event] ** 2) / np.mean(u[event] ** 2)),
            said.word in (Word.SHOCK, Word.REFIT),
            calm.word is Word.AS_STATED,
            np.mean(np.abs(error[event]) <= 1.96 * of_event[event]),
        ]
    )


def _judge(results: FloatArray) -> Sequence[Figure]:
    ratio, said, calm, covered = results.T
    grave, plain = ratio > 3, ratio > 2
    u = float(np.std(covered, ddof=1) / np.sqrt(covered.size))
    return [
        coverage("shocks with an rms error above 3 u that the watch names", said[grave].astype(bool), 0.95, 1.0),
        Figure("shocks above 2 u that the watch names", float(np.mean(said[plain])), -np.inf, np.inf, int(plain.sum())),
        coverage("records without a shock of which the watch says so", calm.astype(bool), 0.97, 1.0),
        Figure("samples of events covered with the event's term", float(np.mean(covered)), 0.95, 1.0, covered.size, u),
    ]


EXPERIMENTS = tuple(
    Experiment(f"correction: shocks outside the band, {name}", partial(_trial, name), _judge, full=1000, short=25)
    for name in DURATION_S
)
