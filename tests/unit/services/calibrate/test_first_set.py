"""How long it takes until a sensor has its first coefficient set, in the plant's time."""

from __future__ import annotations

import itertools

import pytest

from dyncal.correction.design.spectrum import MeasurandSpectrum
from dyncal.domain.coefficients import SetState
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import NS_PER_S
from services.calibrate import candidate, intake
from services.calibrate.engine import CalibrateEngine
from services.calibrate.events import AddSet, Note, PairingsChanged, RecordArrived
from services.calibrate.settings import CalibrateSection
from services.calibrate.window import Window
from simulators.scenarios.scenario import load_scenario
from tests.benchmarks.bench_calibrate import T0, Stream

from .conftest import Run
from .plant import Plant


def first_set_s(station: str, seed: int, within_s: float) -> float:
    """Return when a station of the demo had its first set, in the demo's own time."""
    demo = load_scenario("demo")
    stations = [s for s in demo.stations if s.id == station]
    stream = Stream.of(demo.model_copy(update={"seed": seed, "stations": stations}), within_s)
    engine = CalibrateEngine(CalibrateSection())
    engine.handle(PairingsChanged(stream.sensors, stream.pairings, T0))
    notes = []
    for sent in stream.messages:
        found = intake.read(sent.arrived.topic, sent.arrived.payload, sent.at_ns)
        assert isinstance(found, RecordArrived)
        for effect in engine.handle(found):
            if isinstance(effect, AddSet) and effect.state is SetState.PUBLISHED:
                return (sent.at_ns - T0) / NS_PER_S
            notes += [f"{effect.kind} {effect.detail}"] if isinstance(effect, Note) else []
    pytest.fail(f"no set within {within_s} s: {notes}")


@pytest.mark.parametrize(
    ("station", "seed", "within_s"),
    [("TC-201", 7, 20), ("TC-101", 4, 12), ("TC-102", 3, 12), ("TW-103", 32, 30)],
)
def test_two_equal_samples_at_an_end_do_not_delay_the_first_set(station: str, seed: int, within_s: float) -> None:
    """Records of the demo that were taken for saturated, and looked at again ever more rarely: up to 60 s."""
    assert first_set_s(station, seed, within_s) <= within_s


def test_what_stands_against_a_design_for_a_while_does_not_delay_the_first_set_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[float] = []
    real = candidate.measurand

    def refused(window: Window, *more: object) -> MeasurandSpectrum:
        asked.append((int(window.t_ns[-1]) - plant.at(0)) / NS_PER_S)
        if asked[-1] < 50:
            raise InvalidData("not yet")
        return real(window, *more)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(candidate, "measurand", refused)
    plant = Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.05, 1.5, 80.0, block=2)
    run = Run(plant).pair().go()
    ((second, _, _),) = run.published()[:1]
    assert second < 80
    waits = [b - a for a, b in itertools.pairwise(asked)]
    assert 2 < waits[0] < 4
    assert max(waits) < 22
