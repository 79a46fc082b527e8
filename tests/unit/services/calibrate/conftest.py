from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from dyncal.contracts.coefficients import canonical
from dyncal.domain.alarms import AlarmKind
from dyncal.domain.coefficients import CoefficientSet, SetState
from dyncal.domain.health import SensorHealth
from services.calibrate.engine import CalibrateEngine
from services.calibrate.events import (
    AddCalibration,
    AddSet,
    Effect,
    Event,
    Note,
    PairingsChanged,
    PutCondition,
    PutHealth,
    RecordArrived,
    SaveSnapshot,
    Tick,
)
from services.calibrate.settings import CalibrateSection

from .plant import Plant


@dataclass(slots=True)
class Run:
    """An engine at work on a plant, and what it wanted."""

    plant: Plant
    engine: CalibrateEngine = field(default_factory=lambda: CalibrateEngine(CalibrateSection()))
    effects: list[tuple[float, Effect]] = field(default_factory=list)

    def tell(self, second: float, event: Event) -> list[Effect]:
        effects = self.engine.handle(event)
        self.effects += [(second, e) for e in effects]
        return effects

    def go(
        self,
        from_s: float = 0.0,
        to_s: float | None = None,
        *,
        change: Callable[[float, RecordArrived], Iterator[Event]] | None = None,
    ) -> Run:
        tick = from_s
        for second, event in self.plant.events(from_s, to_s):
            for changed in [event] if change is None else change(second, event):
                self.tell(second, changed)
            if second >= tick:
                self.tell(second, Tick(self.plant.at(second)))
                tick = second + 1
        return self

    def pair(self, event: PairingsChanged | None = None) -> Run:
        self.tell(0.0, event or self.plant.paired())
        return self

    def published(self) -> list[tuple[float, CoefficientSet, str]]:
        return [
            (s, e.coefficients, e.act.reason)
            for s, e in self.effects
            if isinstance(e, AddSet) and e.state is SetState.PUBLISHED
        ]

    def calibrations(self) -> list[AddCalibration]:
        return [e for _, e in self.effects if isinstance(e, AddCalibration)]

    def conditions(self, kind: AlarmKind) -> list[tuple[float, bool]]:
        return [
            (s, e.condition.holds)
            for s, e in self.effects
            if isinstance(e, PutCondition) and e.condition.kind is kind and not e.again
        ]

    def health(self) -> list[tuple[float, SensorHealth]]:
        return [(s, e.health) for s, e in self.effects if isinstance(e, PutHealth) and e.health is not None]

    def notes(self) -> list[str]:
        return [e.kind for _, e in self.effects if isinstance(e, Note)]

    def digest(self) -> list[object]:
        """Return the effects in a form that compares to the last bit."""
        return [(s, _flat(e)) for s, e in self.effects]


def _flat(effect: Effect) -> object:
    match effect:
        case AddSet():
            return ("set", canonical(effect.coefficients), effect.state, effect.act)
        case AddCalibration():
            c = effect.calibration
            return ("calibration", c.id, c.parameters.values.tobytes(), c.parameters.cov.tobytes(), effect.act)
        case SaveSnapshot():
            return ("snapshot", effect.key, effect.content)
        case _:
            return dataclasses.astuple(effect)


@pytest.fixture
def run() -> Callable[[Plant], Run]:
    return Run
