"""The alarm desk: the engine, the registry's transactions around it, and a picture of all alarms to read from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeVar

from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import DEFAULTS, Definition
from dyncal.alarms.engine import AlarmEngine
from dyncal.alarms.events import Answered, Changed, DefinitionPut, Effect, Event, FloodBegan, FloodEnded, Kept
from dyncal.alarms.flood import Flood, FloodSettings
from dyncal.domain.alarms import AlarmKind, AlarmState, Priority
from dyncal.domain.errors import Conflict, DyncalError
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.registry import AlarmAnswer, AlarmWrite, Registry
from services.api.alarms.select import counts

N_TRIES: Final = 5
MAX_ALARMS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of events, in order: written, every word of it."""

    changes: tuple[Changed, ...] = ()
    answers: tuple[Answered, ...] = ()
    floods: tuple[Flood, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    """Alarms by the side of `answers`, as they stand then; those that there are."""


class Picture(NamedTuple):
    """All alarms that ever changed, last changed first, and what is told of them as a whole.

    `number` is that of the newest change; `states` and `to_acknowledge` count as in `services.api.alarms.select`.
    """

    alarms: Sequence[Alarm]
    number: int
    flood: Flood | None
    states: Mapping[AlarmState, int]
    to_acknowledge: Mapping[Priority, int]


MakeAnswer = Callable[[Handled], AlarmAnswer]

T = TypeVar("T", bound=Handled | None)


class AlarmDesk:
    """The one writer of alarms. Methods block, and are safe to call from several threads.

    Parameters
    ----------
    tell : callable
        Told of everything that was written, in the order of writing, before the next thing is.
    """

    def __init__(
        self, registry: Registry, settings: FloodSettings, tell: Callable[[Handled], None] = lambda _: None
    ) -> None:
        self._registry, self._settings = registry, settings
        self.tell = tell
        self._writing = threading.Lock()
        self._reading = threading.RLock()
        self._engine: AlarmEngine | None = None
        self._revision = 0
        self._alarms: dict[str, Alarm] = {}  # in the order of their changes
        self._active: dict[SensorId, dict[str, Alarm]] = {}
        self._flood: Flood | None = None
        self._number = 0
        self._picture: Picture | None = None
        self.running = False
        """True while the service around it runs: without it, others may write, as tests do, and reading looks again."""

    # Writing -------------------------------------------------------------------------------------------------------

    def handle(self, events: Sequence[Event]) -> Handled:
        """Deal with events in one transaction.

        Raises
        ------
        StoreUnavailable
            If the registry is not there: nothing has happened, come again.
        """
        with self._writing:
            return self._try(lambda: self._handle(events, None))

    def once(self, key: str, events: Sequence[Event], answer: MakeAnswer) -> AlarmAnswer:
        """Deal with events unless that was done under this key; return what `answer` made of it then, or now.

        Raises as `handle`.
        """
        made: list[AlarmAnswer] = []

        def keep(handled: Handled) -> AlarmAnswer:
            made.append(answer(handled))
            return made[-1]

        def attempt() -> Handled | None:
            known = self._registry.alarm_answer(key)  # at every attempt: another may have come first
            if known is None:
                return self._handle(events, keep)
            made.append(known)
            return None

        with self._writing:
            self._try(attempt)
        return made[-1]

    def _try(self, attempt: Callable[[], T]) -> T:
        """Return what an attempt to write returns, and tell of it; try again where somebody else has written."""
        for _ in range(N_TRIES):
            try:
                handled = attempt()
            except Conflict:  # go on from what the other has written
                self._engine = None
            except DyncalError:
                self._engine = None  # it knows more than is written
                raise
            else:
                if handled is not None:
                    self.tell(handled)
                return handled
        raise Conflict("another process writes alarms all the time: only one API service may")

    def _handle(self, events: Sequence[Event], answer: MakeAnswer | None) -> Handled:
        engine = self._engine or self._load()
        effects = [effect for event in events for effect in engine.handle(event)]
        kept = {e.alarm.id: e.alarm for e in effects if isinstance(e, Changed | Kept)}
        handled = _handled(effects, engine)
        answers = () if answer is None else (answer(handled),)
        if effects or answers:
            write = AlarmWrite(
                self._revision,
                engine.globals(),
                list(kept.values()),
                handled.changes,
                handled.floods,
                [e for e in effects if isinstance(e, DefinitionPut)],
                answers,
            )
            self._revision = self._registry.write_alarms(write)
            self._see([c.alarm for c in handled.changes], list(kept.values()), engine)
        self._engine = engine
        return handled

    def _load(self) -> AlarmEngine:
        state, self._revision = self._registry.load_alarms()
        engine = AlarmEngine(self._settings, state)
        with self._reading:
            self._alarms, self._active = {}, {}
            self._see(sorted(state.alarms, key=lambda a: (a.number, a.id)), [], engine)
        self._engine = engine
        return engine

    def _see(self, moved: Sequence[Alarm], kept: Sequence[Alarm], engine: AlarmEngine) -> None:
        with self._reading:
            for alarm in moved:
                self._alarms.pop(alarm.id, None)
            for alarm in (*moved, *kept):
                self._alarms[alarm.id] = alarm
                if alarm.sensor is None:
                    continue
                if alarm.active:
                    self._active.setdefault(alarm.sensor, {})[alarm.id] = alarm
                elif alarm.sensor in self._active:
                    self._active[alarm.sensor].pop(alarm.id, None)
            self._flood, self._number = engine.flood, engine.number
            self._picture = None

    # Reading -------------------------------------------------------------------------------------------------------

    def _fresh(self) -> None:
        if self._engine is None or not self.running:
            with self._writing:
                if self._engine is None or not self.running:
                    self._load()

    def due(self, now_ns: InstantNs) -> bool:
        """Tell whether time alone has something done by now."""
        engine = self._engine
        if engine is None:
            return False
        next_ns = engine.next_ns()
        return (next_ns is not None and next_ns <= now_ns) or engine.was_ahead(now_ns)

    @property
    def flood(self) -> Flood | None:
        """The flood that is on, as far as is known without asking the registry."""
        return self._flood

    def picture(self) -> Picture:
        """Return all alarms as they stand; the same picture until something changes."""
        self._fresh()
        with self._reading:
            if self._picture is None:
                alarms = [alarm for alarm in reversed(self._alarms.values()) if alarm.number]
                self._picture = Picture(alarms, self._number, self._flood, *counts(alarms))
            return self._picture

    def alarm(self, id_: str) -> Alarm | None:
        """Return one alarm, if there is one."""
        self._fresh()
        with self._reading:
            return self._alarms.get(id_)

    def known(self, id_: str) -> Alarm | None:
        """Return one alarm as far as is known without asking the registry; for the event loop."""
        return self._alarms.get(id_)

    def __len__(self) -> int:
        return len(self._alarms)

    def active(self) -> dict[SensorId, list[Alarm]]:
        """Return the alarms of each sensor whose condition holds."""
        self._fresh()
        with self._reading:
            return {sensor: list(alarms.values()) for sensor, alarms in self._active.items() if alarms}

    def definitions(self) -> dict[AlarmKind, tuple[Definition, InstantNs | None]]:
        """Return the definition of every kind, and when somebody changed it."""
        given: dict[AlarmKind, tuple[Definition, InstantNs | None]] = {k: (d, None) for k, d in DEFAULTS.items()}
        return {**given, **self._registry.alarm_definitions()}


def _handled(effects: Sequence[Effect], engine: AlarmEngine) -> Handled:
    answers = tuple(e for e in effects if isinstance(e, Answered))
    alarms = tuple(alarm for a in answers if (alarm := engine.alarms.get(a.alarm)) is not None)
    floods = {e.flood.began_ns: e.flood for e in effects if isinstance(e, FloodBegan | FloodEnded)}
    if floods and engine.flood is not None and engine.flood.began_ns in floods:
        floods[engine.flood.began_ns] = replace(engine.flood)
    changes = tuple(e for e in effects if isinstance(e, Changed))
    return Handled(changes, answers, tuple(floods.values()), alarms)
