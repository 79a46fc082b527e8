"""What a sensor does that its model cannot: how often it is told, and how often of sensors that do nothing of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.identification.record_fit import fit_record
from simulators.datasets.definitions import IdentificationSpec, load_family
from simulators.datasets.trials import INDICATION, REFERENCE, make_trial
from tests.evidence import Figure, coverage
from tests.statistical.harness import Experiment

_SEED: Final = b"departures of a sensor from its model"
_FAULTS: Final = {
    # member of the data sets, size, what is said of it
    "play of a hundredth of the scatter": ("fault-hysteresis", 0.01, "lower while they rise"),
    "play of a tenth of the scatter": ("fault-hysteresis", 0.1, "lower while they rise"),
    "time constant 2 % longer from the middle on": ("fault-break", 1.02, "changes within the record: tau_s"),
    "time constant doubled from the middle on": ("fault-break", 2.0, "changes within the record: tau_s"),
}
_SOUND: Final = ("first-noise-40db", "first-noise-20db", "second-noise-40db", "second-irregular-30db")


def _member(name: str, size: float | None = None) -> IdentificationSpec:
    found = load_family().of("open")[name]
    assert isinstance(found, IdentificationSpec)
    if size is None:
        return found
    assert found.fault is not None
    return found.model_copy(update={"fault": found.fault.model_copy(update={"size": size})})


def _trial(name: str, size: float | None, words: str, seed: int) -> FloatArray:
    """Return whether it was accepted, whether the words were said, and errors over u of all parameters."""
    spec = _member(name, size)
    made = make_trial(spec, _SEED, seed)
    record = AlignedRecord(made.t_ns, made.channels[INDICATION], made.channels[REFERENCE])
    fit = fit_record(record, ModelKind(spec.sensor.model))
    truth = np.array([made.truth["parameters"][each] for each in spec.sensor.names])
    off = np.full(truth.size, np.nan) if fit.parameters is None else (fit.parameters.values - truth) / fit.parameters.u
    return np.concatenate([[fit.accepted, words in fit.detail], off])


def _told(results: FloatArray) -> Sequence[Figure]:
    return [
        coverage("records refused", results[:, 0] == 0, 0.98, 1.0),
        coverage("of which the reason is said", results[:, 1] == 1, 0.95, 1.0),
    ]


def _sound(results: FloatArray) -> Sequence[Figure]:
    good = results[results[:, 0] == 1]
    return [
        coverage("records accepted", results[:, 0] == 1, 0.99, 1.0),
        coverage("95 % intervals of all parameters", np.abs(good[:, 2:]).ravel() <= 1.96, 0.92, 0.975),
    ]


EXPERIMENTS: Final = (
    *(
        Experiment(f"record fit: {what}", partial(_trial, name, size, words), _told, full=200, short=2)
        for what, (name, size, words) in _FAULTS.items()
    ),
    *(
        Experiment(f"record fit: sound, {name}", partial(_trial, name, None, "changes within"), _sound, 200, 2)
        for name in _SOUND
    ),
)
