"""The alarms' state machine: condition and acknowledgement in, the alarm as it then stands out (IEC 62682)."""

from __future__ import annotations

import dataclasses

from dyncal.domain.alarms import Alarm, AlarmState
from dyncal.domain.time import InstantNs


def raised(previous: Alarm | None, found: Alarm) -> Alarm | None:
    """Return the alarm that a condition raises, or None where it stands already: an alarm is not raised twice."""
    return None if previous is not None and previous.active else found


def cleared(previous: Alarm | None, now_ns: InstantNs) -> Alarm | None:
    """Return the alarm after its condition is gone, or None where nothing changes."""
    if previous is None or not previous.active:
        return None
    seen = previous.state is AlarmState.ACKNOWLEDGED
    state = AlarmState.NORMAL if seen else AlarmState.RETURNED_UNACKNOWLEDGED
    return dataclasses.replace(previous, state=state, changed_ns=now_ns)


def acknowledged(ours: Alarm, registry: Alarm) -> Alarm | None:
    """Return the alarm after somebody acknowledged it in the registry, or None where nobody did."""
    if ours.id != registry.id or registry.raised_ns != ours.raised_ns:
        return None
    seen = registry.state in (AlarmState.ACKNOWLEDGED, AlarmState.NORMAL)
    if seen and ours.state is AlarmState.UNACKNOWLEDGED:
        return dataclasses.replace(ours, state=AlarmState.ACKNOWLEDGED, changed_ns=registry.changed_ns)
    if seen and ours.state is AlarmState.RETURNED_UNACKNOWLEDGED:
        return dataclasses.replace(ours, state=AlarmState.NORMAL, changed_ns=registry.changed_ns)
    return None
