"""What is said of a sensor: conditions in words for the operator."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.coefficients import Outcome, Report
from dyncal.domain.health import Attribution, Cause
from dyncal.domain.sensors import EdgeId, Sensor, SensorId
from dyncal.domain.time import InstantNs
from dyncal.drift.monitor import DriftStatus
from services.calibrate.tolerance import Excess

_CAUSES: Final = {
    "gain": "sensitivity changed: ageing, a damaged element or a changed supply",
    "tau": "response time changed: fouling, deposits, a loose fit in the thermowell or a changed flow",
    "damping": "damping changed: trapped gas, a partly blocked line or lost damping fluid",
    "f0_hz": "resonance moved: a loose mounting, a crack, or gas in the line",
    "delay": "dead time changed: a slower flow, a longer sampling line, or buffering on the way",
}

_TOLD: Final = "Most likely "
_THEN: Final = "; "
_ATTRIBUTED: Final = {
    Cause.SENSOR: ("the sensor itself has changed", ""),
    Cause.REFERENCE: (
        "its reference {reference} has changed, and not the sensor",
        "Have the reference {reference} checked first: the corrections of all its sensors follow it.",
    ),
    Cause.PROCESS: (
        "it goes with the process, and not with the sensor",
        "Look at what has changed in the process; inspect the sensor only if it stays.",
    ),
    Cause.SENSOR_OR_REFERENCE: ("the sensor or its reference {reference} has changed: one pair cannot tell", ""),
}
"""What is said of each cause that can be told, and what to do where that is another thing than otherwise."""


def cause_of(parameter: str) -> str:
    """Return the likely causes of a change of `parameter`."""
    for prefix, cause in _CAUSES.items():
        if parameter.startswith(prefix):
            return cause
    return "the transfer function changed"


def _condition(
    sensor: Sensor,
    kind: AlarmKind,
    now_ns: InstantNs,
    *,
    edge: EdgeId | None = None,
    parameter: str = "",
    value: float | None = None,
    u: float | None = None,
    limit: float | None = None,
    cause: str,
    response: str,
) -> Condition:
    return Condition(
        sensor.site, sensor.id, kind, holds=True, at_ns=now_ns, edge=sensor.edge if edge is None else edge,
        parameter=parameter, value=value, u=u, limit=limit, cause=cause, response=response,
    )  # fmt: skip


def drift(sensor: Sensor, now_ns: InstantNs, status: DriftStatus) -> Condition:
    """Return the condition of a drift; a change from near 0, or to the tenfold, has no percentage."""
    known = math.isfinite(status.change) and math.isfinite(status.u_change)
    change = f"{status.change:+.1%} since the baseline" if known else "by more than is told in percent"
    return _condition(
        sensor,
        AlarmKind.DRIFT,
        now_ns,
        parameter=status.parameter,
        value=status.change if known else None,
        u=status.u_change if known else None,
        limit=status.limit,
        cause=f"{cause_of(status.parameter)} ({change})",
        response="Plan an inspection; the correction follows the change and stays valid meanwhile.",
    )


def explained(found: Condition, told: Attribution, reference: SensorId) -> Condition:
    """Return the condition of a drift with what has changed said first; as it was where that cannot be told."""
    said = _ATTRIBUTED.get(told.cause)
    if said is None:
        return found
    words, response = said
    parts = [part for part in found.cause.split(_THEN) if not part.startswith(_TOLD)]
    cause = _THEN.join([f"{_TOLD}{words.format(reference=reference)}", *parts])
    return dataclasses.replace(found, cause=cause, response=response.format(reference=reference) or found.response)


_SINCE: Final = "since then they contradict each other, and "
_APART: Final = {
    Cause.SENSOR: "other sensors still agree with the reference {reference}: it is this one",
    Cause.REFERENCE: "no other sensor agrees with the reference {reference} either: it is that, or what they share",
}


def contradiction(sensor: Sensor, at_ns: InstantNs, words: str, cause: Cause, reference: SensorId) -> Condition:
    """Return the condition of a sensor and a reference that have come apart; `words` are the estimator's."""
    parts = ["sensor and reference contradict each other", words, _APART.get(cause, "").format(reference=reference)]
    first = f"the reference {reference}" if cause is Cause.REFERENCE else f"the sensor and its reference {reference}"
    return _condition(
        sensor,
        AlarmKind.DRIFT,
        at_ns,
        cause=_THEN.join(part for part in parts if part),
        response=f"Compare zero and time stamps of {first}; the correction knows of neither, and stays as it was.",
    )


def parted(found: Condition, cause: Cause, reference: SensorId) -> Condition:
    """Return the condition of a drift after which sensor and reference have come apart; as it was where that says less.

    What other sensors say of the reference is said with it.
    """
    said = _APART.get(cause)
    if said is None:
        return found
    parts = [part for part in found.cause.split(_THEN) if not part.startswith(_SINCE)]
    return dataclasses.replace(found, cause=_THEN.join([*parts, f"{_SINCE}{said.format(reference=reference)}"]))


def out_of_tolerance(sensor: Sensor, now_ns: InstantNs, excess: Excess) -> Condition:
    """Return the condition of a parameter that left its tolerance."""
    change = f"{excess.change:+.1%} against the first calibration, tolerance {excess.tolerance:.1%}"
    return _condition(
        sensor,
        AlarmKind.OUT_OF_TOLERANCE,
        now_ns,
        parameter=excess.parameter,
        value=excess.change,
        u=excess.u,
        limit=excess.tolerance,
        cause=f"{cause_of(excess.parameter)}; {change}",
        response="Inspect or replace the sensor; judge what was measured since the change.",
    )


def reference_lost(
    sensor: Sensor, now_ns: InstantNs, reference: str, edge: EdgeId | None, seconds_ago: float, why: str
) -> Condition:
    """Return the condition of a reference that is gone."""
    return _condition(
        sensor,
        AlarmKind.REFERENCE_LOST,
        now_ns,
        edge=edge,
        value=seconds_ago,
        cause=f"no usable samples of reference {reference}: {why}",
        response="Restore the reference; the last coefficient set stays in force, drift cannot be watched meanwhile.",
    )


def not_in_force(sensor: Sensor, now_ns: InstantNs, report: Report) -> Condition:
    """Return the condition of a set that the edge rejected or left again."""
    verb = "rejected" if report.outcome is Outcome.REJECTED else "reverted"
    return _condition(
        sensor,
        AlarmKind.CORRECTION_REVERTED,
        now_ns,
        cause=f"the edge {verb} set {report.sequence} ({report.set_id}): {report.reason or 'no reason given'}",
        response="The edge runs the last good set. Check sensor and reference; a new set follows once one is better.",
    )
