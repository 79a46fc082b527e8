"""What a method is given and what it answers: the contract of an entry point, and of a results file.

A method is a function ``method(record) -> answer`` of plain dictionaries with numbers, strings and numpy arrays:

=====================  ========================================  ==============================================
``task``               given beside ``task``, ``model``          answered
=====================  ========================================  ==============================================
``identification``     t_ns, indication, reference, dt_s,        values: {name: number}; u: {name: standard
                       parameters (names), u_reference_noise,    uncertainty}, if it knows
                       between_samples
``frequency_response`` f_hz, real, imag, u, u_common,            as above
                       parameters (names)
``correction``         t_ns, indication, dt_s, parameters        value: array (n,), NaN where there is none;
                       {name: value}, u {name: u}, noise_std,    u: array (n,) of standard uncertainties, if it
                       band_hz                                   knows
``drift``              t_ns, indication, reference, dt_s,        alarms_t_ns: instants of its alarms, it having
                       u_reference_noise, arl0_s                 begun anew after each
=====================  ========================================  ==============================================

``{"refused": "why"}`` is an answer too. Whatever else a method does (an exception, an exit, too long a time, numbers
that are not finite, names that are not asked for) counts as failed.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from simulators.datasets.store import MemberData
from simulators.datasets.trials import INDICATION, REFERENCE, Trial

ESTIMATES = ("identification", "frequency_response")
TASKS = (*ESTIMATES, "correction", "drift")


class Outcome(enum.StrEnum):
    """What became of a trial."""

    ANSWERED = "answered"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a method made of one trial.

    Attributes
    ----------
    reason : str
        Why it refused, or how it failed.
    values, u : mapping of parameter to float
        Of estimators; `u` is empty where it knows none.
    value, u_value : float64, shape (n,)
        Of correctors; `u_value` is empty where it knows none.
    alarms_t_ns : int64, shape (m,)
        Of drift detectors, ascending.
    seconds : float
        Processor time that it took, NaN where nobody knows.
    """

    outcome: Outcome
    reason: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    u: Mapping[str, float] = field(default_factory=dict)
    value: FloatArray = field(default_factory=lambda: np.empty(0))
    u_value: FloatArray = field(default_factory=lambda: np.empty(0))
    alarms_t_ns: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    seconds: float = float("nan")


def record_of(member: MemberData, trial: Trial) -> dict[str, Any]:
    """Return what a method is given of a trial."""
    said = member.about
    record: dict[str, Any] = {"task": said["task"], "model": said["model"], **trial.stated, **trial.points}
    if "parameters" not in record:
        record["parameters"] = [entry["name"] for entry in said["parameters"]]
    if trial.t_ns.size:
        record |= {"t_ns": trial.t_ns, "dt_s": said["interval"]["value"], "indication": trial.channels[INDICATION]}
    if REFERENCE in trial.channels:
        record["reference"] = trial.channels[REFERENCE]
    if said["task"] == "identification":
        record["between_samples"] = said["between_samples"]
    if said["task"] == "drift":
        record["arl0_s"] = said["arl0"]["value"]
    return record


def failed(reason: str, seconds: float = float("nan")) -> Answer:
    """Return the answer of a method that gave none."""
    return Answer(Outcome.FAILED, reason, seconds=seconds)


def answer_of(given: Mapping[str, Any], member: MemberData, trial: Trial) -> Answer:
    """Check what came back for a trial; what is wrong with it is the reason of its failure."""
    seconds = float(given.get("seconds", float("nan")))
    if given.get("error"):
        return failed(str(given["error"]), seconds)
    if given.get("refused"):
        return Answer(Outcome.REFUSED, str(given["refused"]), seconds=seconds)
    try:
        task = member.about["task"]
        if task in ESTIMATES:
            return _estimate(given, [entry["name"] for entry in member.about["parameters"]], seconds)
        if task == "correction":
            return _series(given, trial.t_ns.size, seconds)
        return _alarms(given, trial.t_ns, seconds)
    except (KeyError, TypeError, ValueError) as error:
        words = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        return failed(f"not an answer: {words}", seconds)


def _estimate(given: Mapping[str, Any], names: list[str], seconds: float) -> Answer:
    values = {str(key): float(value) for key, value in dict(given["values"]).items()}
    if set(values) != set(names):
        raise ValueError(f"values of {', '.join(sorted(values)) or 'nothing'}, asked for are {', '.join(names)}")
    u = {str(key): float(value) for key, value in dict(given.get("u") or {}).items()}
    if u and set(u) != set(names):
        raise ValueError(f"u of {', '.join(sorted(u))}, not of {', '.join(names)}")
    if not np.all(np.isfinite(list(values.values()))):
        raise ValueError("a value is not finite")
    if any(not 0 <= number < float("inf") for number in u.values()):
        raise ValueError("a standard uncertainty is negative or not finite")
    return Answer(Outcome.ANSWERED, values=values, u=u, seconds=seconds)


def _series(given: Mapping[str, Any], n: int, seconds: float) -> Answer:
    value = np.asarray(given["value"], np.float64)
    u = np.asarray(given["u"] if given.get("u") is not None else [], np.float64)
    if value.shape != (n,) or (u.size and u.shape != (n,)):
        raise ValueError(f"values of shape {value.shape} and u of shape {u.shape} for {n} samples")
    return Answer(Outcome.ANSWERED, value=value, u_value=u, seconds=seconds)


def _alarms(given: Mapping[str, Any], t_ns: Int64Array, seconds: float) -> Answer:
    alarms = np.sort(np.asarray(given["alarms_t_ns"], np.int64).reshape(-1))
    if alarms.size and not t_ns[0] <= alarms[0] <= alarms[-1] <= t_ns[-1]:
        raise ValueError("an alarm lies outside of the record")
    return Answer(Outcome.ANSWERED, alarms_t_ns=alarms, seconds=seconds)
