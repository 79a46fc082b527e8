"""Spectra are fitted anew where the measurand may have changed, and not where nothing has."""

from __future__ import annotations

import pytest

from dyncal.correction.design.spectrum import MeasurandSpectrum
from dyncal.domain.sensors import ModelKind
from services.calibrate import candidate
from services.calibrate.engine import CalibrateEngine
from services.calibrate.settings import CalibrateSection
from services.calibrate.window import Window

from .conftest import Run
from .plant import Plant

_EVERY_S = 5.0


def plant(band_hz: float, seconds: float, seed: int) -> Plant:
    return Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.02, band_hz, seconds, block=25, seed=seed)


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[Window]:
    """The windows to which spectra were fitted."""
    asked: list[Window] = []
    real = candidate.measurand

    def kept(window: Window, *more: object) -> MeasurandSpectrum:
        asked.append(window)
        return real(window, *more)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(candidate, "measurand", kept)
    return asked


def run_of(one: Plant) -> Run:
    rules = CalibrateSection(spectrum_s=_EVERY_S, min_interval_s=_EVERY_S)
    return Run(one, CalibrateEngine(rules)).pair()


def test_a_measurand_that_stays_as_it_is_has_its_spectrum_fitted_seldom(fitted: list[Window]) -> None:
    run_of(plant(1.5, 400.0, seed=3)).go()
    assert 4 <= len(fitted) <= 40  # of 80 times when it was due; each tenth look at least


def test_a_measurand_that_changes_gets_another_set(fitted: list[Window]) -> None:
    before, after = plant(1.0, 300.0, seed=4), plant(4.0, 300.0, seed=5)
    half = before.t_ns.size // 2
    before.raw[half:], before.reference[half:] = after.raw[half:], after.reference[half:]
    run = run_of(before).go()
    told = [second for second, _, why in run.published() if "measurand changed" in why and second > 150]
    assert told
    assert told[0] < 150 + 40.96 + 3 * _EVERY_S  # a window's length, and the looks
