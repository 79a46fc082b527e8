"""Figures of performance of an alarm system (ISA-18.2, IEC 62682, EEMUA 191)."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from dyncal.alarms.alarm import CHATTERING_N, CHATTERING_NS
from dyncal.alarms.flood import Flood
from dyncal.domain.alarms import AlarmEvent, Annunciation, Priority
from dyncal.domain.time import InstantNs, duration, seconds

FLEETING_NS: Final = duration(60.0)
PEAK_NS: Final = duration(600.0)
N_TOP: Final = 10
_BY_PEOPLE: Final = frozenset({AlarmEvent.ACKNOWLEDGED, AlarmEvent.SHELVED, AlarmEvent.TAKEN_OUT_OF_SERVICE})


class Figure(NamedTuple):
    """A change of an alarm, as far as figures need it."""

    at_ns: InstantNs
    alarm: str
    event: AlarmEvent
    priority: Priority
    annunciated: Annunciation


class Often(NamedTuple):
    """An alarm that came `n` times, at most `n_per_minute` of them within 60 s; `share` of all annunciations."""

    alarm: str
    n: int
    share: float
    n_per_minute: int


@dataclass(frozen=True, slots=True)
class Kpis:
    """The figures of a period; shares are of 1. Annunciations that were held back count, but in `n_annunciated`."""

    n_annunciated: int
    n_held_back: int
    per_operator_hour: float
    peak_per_10_min: float
    flood_share: float
    n_floods: int
    top: tuple[Often, ...]
    top_share: float
    chattering: tuple[Often, ...]
    fleeting: tuple[Often, ...]
    n_by_priority: tuple[int, int, int]
    n_acknowledged: int
    mean_acknowledge_s: float | None


def kpis(
    figures: Sequence[Figure], floods: Iterable[Flood], from_ns: InstantNs, to_ns: InstantNs, n_operators: float
) -> Kpis:
    """Return the figures of [from, to) from its changes (oldest first) and the floods that overlap it."""
    told = [f for f in figures if f.annunciated is not Annunciation.NONE]
    instants: dict[str, list[InstantNs]] = defaultdict(list)
    for figure in told:
        instants[figure.alarm].append(figure.at_ns)
    often = [
        Often(alarm, len(at), len(at) / len(told), _most_within(at, CHATTERING_NS)) for alarm, at in instants.items()
    ]
    often.sort(key=lambda o: (-o.n, o.alarm))
    overlap = [(max(f.began_ns, from_ns), min(f.ended_ns or to_ns, to_ns)) for f in floods]
    counts = Counter(f.priority.rank for f in told)
    times = _to_acknowledge(figures)
    n_held = sum(f.annunciated is Annunciation.HELD_BACK for f in told)
    return Kpis(
        n_annunciated=len(told) - n_held,
        n_held_back=n_held,
        per_operator_hour=len(told) / n_operators / (seconds(to_ns - from_ns) / 3600),
        peak_per_10_min=_most_within([f.at_ns for f in told], PEAK_NS) / n_operators,
        flood_share=sum(max(end - begin, 0) for begin, end in overlap) / (to_ns - from_ns),
        n_floods=len(overlap),
        top=tuple(often[:N_TOP]),
        top_share=sum(o.n for o in often[:N_TOP]) / max(len(told), 1),
        chattering=tuple(o for o in often if o.n_per_minute >= CHATTERING_N),
        fleeting=_fleeting(figures, often),
        n_by_priority=(counts[0], counts[1], counts[2]),
        n_acknowledged=len(times),
        mean_acknowledge_s=seconds(sum(times)) / len(times) if times else None,
    )


def _most_within(instants: Iterable[InstantNs], window_ns: int) -> int:
    """Return the largest count within any window, its end exclusive."""
    recent: deque[InstantNs] = deque()
    most = 0
    for instant in instants:
        recent.append(instant)
        while recent[0] <= instant - window_ns:
            recent.popleft()
        most = max(most, len(recent))
    return most


def _to_acknowledge(figures: Sequence[Figure]) -> list[int]:
    """Return the times from annunciation to acknowledgement, of those whose annunciation is in the period."""
    waiting: dict[str, InstantNs] = {}
    times = []
    for figure in figures:
        if figure.annunciated is not Annunciation.NONE:
            waiting[figure.alarm] = figure.at_ns
        elif figure.event is AlarmEvent.ACKNOWLEDGED and figure.alarm in waiting:
            times.append(figure.at_ns - waiting.pop(figure.alarm))
    return times


def _fleeting(figures: Sequence[Figure], often: Sequence[Often]) -> tuple[Often, ...]:
    """Return the alarms that cleared soon after they were annunciated, before anybody did anything."""
    waiting: dict[str, InstantNs] = {}
    n: Counter[str] = Counter()
    for figure in figures:
        if figure.annunciated is not Annunciation.NONE:
            waiting[figure.alarm] = figure.at_ns
        elif figure.event in _BY_PEOPLE:
            waiting.pop(figure.alarm, None)
        elif figure.event is AlarmEvent.CLEARED and figure.alarm in waiting:
            n[figure.alarm] += figure.at_ns - waiting.pop(figure.alarm) <= FLEETING_NS
    return tuple(o._replace(n=n[o.alarm]) for o in often if n[o.alarm])
