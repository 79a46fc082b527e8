"""What the alarms say to the operator: conditions in words."""

from __future__ import annotations

from typing import Final

from dyncal.domain.alarms import AlarmKind, Priority
from dyncal.domain.coefficients import Outcome, Report
from dyncal.drift.monitor import DriftStatus
from services.calibrate.alarms import Finding
from services.calibrate.tolerance import Excess

_CAUSES: Final = {
    "gain": "sensitivity changed: ageing, a damaged element or a changed supply",
    "tau": "response time changed: fouling, deposits, a loose fit in the thermowell or a changed flow",
    "damping": "damping changed: trapped gas, a partly blocked line or lost damping fluid",
    "f0_hz": "resonance moved: a loose mounting, a crack, or gas in the line",
}


def cause_of(parameter: str) -> str:
    """Return the likely causes of a change of `parameter`."""
    for prefix, cause in _CAUSES.items():
        if parameter.startswith(prefix):
            return cause
    return "the transfer function changed"


def drift(status: DriftStatus) -> Finding:
    """Return the finding of a drift."""
    return Finding(
        kind=AlarmKind.DRIFT,
        priority=Priority.MEDIUM,
        parameter=status.parameter,
        value=status.change,
        u=status.u_change,
        limit=status.limit,
        cause=f"{cause_of(status.parameter)} ({status.change:+.1%} since the baseline)",
        response="Plan an inspection; the correction follows the change and stays valid meanwhile.",
    )


def out_of_tolerance(excess: Excess) -> Finding:
    """Return the finding of a parameter that left its tolerance."""
    change = f"{excess.change:+.1%} against the first calibration, tolerance {excess.tolerance:.1%}"
    return Finding(
        kind=AlarmKind.OUT_OF_TOLERANCE,
        priority=Priority.HIGH,
        parameter=excess.parameter,
        value=excess.change,
        u=excess.u,
        limit=excess.tolerance,
        cause=f"{cause_of(excess.parameter)}; {change}",
        response="Inspect or replace the sensor; judge what was measured since the change.",
    )


def reference_lost(reference: str, seconds_ago: float, why: str) -> Finding:
    """Return the finding of a reference that is gone."""
    return Finding(
        kind=AlarmKind.REFERENCE_LOST,
        priority=Priority.LOW,
        value=seconds_ago,
        cause=f"no usable samples of reference {reference}: {why}",
        response="Restore the reference; the last coefficient set stays in force, drift cannot be watched meanwhile.",
    )


def not_in_force(report: Report) -> Finding:
    """Return the finding of a set that the edge rejected or left again."""
    verb = "rejected" if report.outcome is Outcome.REJECTED else "reverted"
    return Finding(
        kind=AlarmKind.CORRECTION_REVERTED,
        priority=Priority.MEDIUM,
        cause=f"the edge {verb} set {report.sequence} ({report.set_id}): {report.reason or 'no reason given'}",
        response="The edge runs the last good set. Check sensor and reference; a new set follows once one is better.",
    )
