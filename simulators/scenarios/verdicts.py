"""What a system concluded from a scenario, against what a good one concludes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dyncal.domain.alarms import AlarmKind
from dyncal.domain.health import Cause, Watch
from dyncal.domain.time import NS_PER_S, InstantNs
from simulators.replay import Effects
from simulators.replay.effects import AlarmFound, SetFound, Standing
from simulators.scenarios.catalogue import expectation
from simulators.scenarios.scenario import Scenario, StationSpec

_BLAMES_SENSOR: Final = Cause.SENSOR.value
_DRIFTS: Final = (AlarmKind.DRIFT.value, AlarmKind.OUT_OF_TOLERANCE.value)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sensor: what was expected, what was concluded, in words, and what of it is wrong."""

    scenario: str
    sensor: str
    expected: str
    concluded: str
    wrong: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True if nothing is wrong."""
        return not self.wrong


@dataclass(frozen=True, slots=True)
class _Heard:
    """What was said of one sensor, in order; instants since the start [s]."""

    t0_ns: InstantNs
    sets: Sequence[SetFound]
    alarms: Sequence[AlarmFound]
    standing: Sequence[Standing]
    gaps: frozenset[str]

    def since_s(self, at_ns: int) -> float:
        return (at_ns - self.t0_ns) / NS_PER_S

    def raised(self, *kinds: str) -> list[AlarmFound]:
        return [a for a in self.alarms if a.holds and a.kind in kinds]

    @property
    def in_the_end(self) -> Standing | None:
        return self.standing[-1] if self.standing else None


def judge(scenario: Scenario, effects: Effects, gains: Mapping[str, float | None]) -> list[Verdict]:
    """Return a verdict for each station.

    Parameters
    ----------
    gains : mapping of sensor to float
        Rms error of raw over corrected indications; None where nothing was corrected. Asked where a gain is expected.
    """
    return [_verdict(scenario, station, _heard(station.id, effects), gains) for station in scenario.stations]


def _heard(sensor: str, effects: Effects) -> _Heard:
    return _Heard(
        InstantNs(effects.from_ns),
        [s for s in effects.sets if s.sensor == sensor],
        [a for a in effects.alarms if a.source == sensor],
        [s for s in effects.standing if s.sensor == sensor],
        frozenset(g.cause for g in effects.gaps if g.sensor == sensor),
    )


def _verdict(scenario: Scenario, station: StationSpec, heard: _Heard, gains: Mapping[str, float | None]) -> Verdict:
    expect = station.expect
    wrong = _CHECKS[expect.conclusion](scenario, station, heard)
    if len(heard.sets) < expect.n_sets:
        wrong.append(f"{len(heard.sets)} coefficient sets, expected at least {expect.n_sets}")
    if missing := [cause.value for cause in expect.gaps if cause.value not in heard.gaps]:
        wrong.append(f"no gap on record by {', '.join(missing)}")
    end = heard.in_the_end
    if expect.causes and end is not None and end.cause and end.cause not in expect.causes:
        wrong.append(f"in the end {end.cause} is said to have changed, expected {' or '.join(expect.causes)}")
    gain = gains.get(station.id)
    if expect.min_gain > 0 and station.id in gains and (gain is None or gain < expect.min_gain):
        wrong.append(f"correction gain {'none' if gain is None else f'{gain:.2g}'}, expected {expect.min_gain:g}")
    return Verdict(scenario.name, station.id, expectation(station), _words(heard, gain), tuple(wrong))


def _healthy(scenario: Scenario, station: StationSpec, heard: _Heard) -> list[str]:
    del scenario, station
    firsts = [*heard.raised(*_DRIFTS)[:1], *heard.raised(AlarmKind.CORRECTION_REVERTED.value)[:1]]
    return [f"alarm {_said(a, heard)}" for a in firsts]


def _drift(scenario: Scenario, station: StationSpec, heard: _Heard) -> list[str]:
    begin_s = _begin_s(station)
    names = set(station.expect.parameters) or {law.parameter for law in station.drift}
    wrong = [f"alarm {_said(a, heard)} before the drift" for a in heard.raised(*_DRIFTS) if _at(a, heard) < begin_s][:1]
    said = [(_at(a, heard), a.parameter) for a in heard.raised(*_DRIFTS)]
    said += [(heard.since_s(s.at_ns), s.parameter) for s in heard.standing if s.watch == Watch.DRIFT.value]
    after = sorted((at, parameter) for at, parameter in said if at >= begin_s)
    right = [at for at, parameter in after if parameter in names]
    limit_s = station.expect.within_s or scenario.lasts_s
    if not after:
        wrong.append("no drift alarm")
    elif not right:
        wrong.append(f"a drift of {after[-1][1] or 'no parameter'}, expected {' or '.join(sorted(names))}")
    elif right[0] - begin_s > limit_s:
        wrong.append(f"said {right[0] - begin_s:.0f} s after it began, expected {limit_s:g} s")
    return wrong


def _contradiction(scenario: Scenario, station: StationSpec, heard: _Heard) -> list[str]:
    begin_s = _begin_s(station)
    said = [_at(a, heard) for a in heard.raised(AlarmKind.DRIFT.value)]
    told = (Watch.CANNOT_TELL.value, Watch.DRIFT.value)
    said += [heard.since_s(s.at_ns) for s in heard.standing if s.watch in told]
    after = sorted(at for at in said if at >= begin_s)
    limit_s = station.expect.within_s or scenario.lasts_s
    wrong = [f"alarm {_said(a, heard)} before anything" for a in heard.raised(*_DRIFTS) if _at(a, heard) < begin_s][:1]
    if not after:
        wrong.append("nothing was said")
    elif after[0] - begin_s > limit_s:
        wrong.append(f"said {after[0] - begin_s:.0f} s after it began, expected {limit_s:g} s")
    named = [a for a in heard.raised(*_DRIFTS) if a.parameter]
    wrong += [f"a parameter was named: {_said(a, heard)}" for a in named[:1]]
    return wrong


def _process(scenario: Scenario, station: StationSpec, heard: _Heard) -> list[str]:
    del scenario, station
    return [f"the sensor was blamed at {heard.since_s(s.at_ns):.0f} s" for s in _blames(heard)[:1]]


def _reference(scenario: Scenario, station: StationSpec, heard: _Heard) -> list[str]:
    wrong = _process(scenario, station, heard)
    if not heard.raised(*_DRIFTS) and not any(s.watch == Watch.DRIFT.value for s in heard.standing):
        wrong.append("nothing was said")
    return wrong


def _reference_lost(scenario: Scenario, station: StationSpec, heard: _Heard) -> list[str]:
    begin_s = min((span.from_s for span in station.reference.transport.silent), default=0.0)
    said = [_at(a, heard) for a in heard.raised(AlarmKind.REFERENCE_LOST.value)]
    wrong = [f"alarm {_said(a, heard)}" for a in heard.raised(*_DRIFTS)[:1]]
    if any(at < begin_s for at in said):
        wrong.append("said before it was lost")
    late_s = min((at for at in said if at >= begin_s), default=float("inf")) - begin_s
    if late_s > (station.expect.within_s or scenario.lasts_s):
        wrong.append("not said in time" if said else "not said")
    return wrong


def _cannot_tell(scenario: Scenario, station: StationSpec, heard: _Heard) -> list[str]:
    wrong = _refused(scenario, station, heard)
    end = heard.in_the_end
    if end is None or end.watch != Watch.CANNOT_TELL.value:
        wrong.append(f"in the end: {'nothing' if end is None else end.watch}")
    elif not end.reason:
        wrong.append("without a reason")
    return wrong


def _refused(scenario: Scenario, station: StationSpec, heard: _Heard) -> list[str]:
    wrong = _healthy(scenario, station, heard)
    return [*wrong, f"{len(heard.sets)} coefficient sets, expected none"] if heard.sets else wrong


def _any(scenario: Scenario, station: StationSpec, heard: _Heard) -> list[str]:
    del scenario, station, heard
    return []


_CHECKS: Final = {
    "healthy": _healthy,
    "drift": _drift,
    "contradiction": _contradiction,
    "process": _process,
    "reference": _reference,
    "reference_lost": _reference_lost,
    "cannot_tell": _cannot_tell,
    "refused": _refused,
    "any": _any,
}


def _begin_s(station: StationSpec) -> float:
    """Return when the first fault of a sensor begins [s]."""
    faults = [law.from_s for law in station.drift]
    faults += [shift.at_s for shift in station.converter.shifts]
    faults += [span.from_s for span in station.converter.frozen]
    return min(faults, default=0.0)


def _blames(heard: _Heard) -> list[Standing]:
    return [s for s in heard.standing if s.cause == _BLAMES_SENSOR]


def _at(alarm: AlarmFound, heard: _Heard) -> float:
    return heard.since_s(alarm.at_ns)


def _said(alarm: AlarmFound, heard: _Heard) -> str:
    return f"{alarm.kind}{f' of {alarm.parameter}' if alarm.parameter else ''} at {_at(alarm, heard):.0f} s"


def _words(heard: _Heard, gain: float | None) -> str:
    parts = [f"{len(heard.sets)} set{'' if len(heard.sets) == 1 else 's'}"]
    if gain is not None:
        parts.append(f"gain {gain:.2g}")
    firsts: dict[str, AlarmFound] = {}
    for alarm in heard.raised(*_DRIFTS, AlarmKind.REFERENCE_LOST.value, AlarmKind.CORRECTION_REVERTED.value):
        firsts.setdefault(alarm.kind, alarm)
    parts += [_said(alarm, heard) for alarm in firsts.values()]
    end = heard.in_the_end
    if end is not None:
        cause = f" ({end.cause.replace('_', ' ')})" if end.cause else ""
        parts.append(f"in the end {end.watch.replace('_', ' ')}{cause}")
    return ", ".join(parts)
