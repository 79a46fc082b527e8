"""A choice given as a string is that choice, and an unknown one is refused: never the other branch in silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dyncal.correction.design.spectrum import from_bandwidth
from dyncal.correction.design.wiener import design
from dyncal.correction.smoother.build import build_smoother
from dyncal.domain.errors import InvalidData
from dyncal.identification.frequency_response import FrequencyFitSettings, FrequencyPoints, fit_frequency_response
from dyncal.identification.kalman import KalmanSettings
from dyncal.identification.record_fit import RecordSettings, fit_record
from dyncal.identification.records import AlignedRecord
from dyncal.models import model_of
from dyncal.models.axes import Axis
from dyncal.uncertainty.settings import MonteCarloSettings
from tests.hostile.metrology import scene
from tests.hostile.metrology.scene import SECOND

_F = np.geomspace(1, 200, 30)
_H = model_of(SECOND).frequency_response(scene.TRUTH[SECOND], _F)


def points(sign: float = 1.0, **given: Any) -> FrequencyPoints:
    lag = sign * np.degrees(np.angle(_H))
    return FrequencyPoints.from_magnitude_phase(_F, np.abs(_H), lag, 0.001 * np.abs(_H), 0.1, **given)


def test_strings_are_what_they_name() -> None:
    given: Any = {"magnitude_as": "linear", "phase_unit": "deg", "phase_sign": "lag positive"}
    assert np.allclose(points(-1.0, **given).response, _H)
    fit = fit_frequency_response(points(**given | {"phase_sign": "lag negative"}), "second_order")  # type: ignore[arg-type]
    assert fit.accepted
    assert np.allclose(Axis("flow", "log").transformed(np.array([1.0, 2.0])), [0, np.log(2)])  # type: ignore[arg-type]


_SPECTRUM = from_bandwidth(40.0, 1.0)
_TUNED: dict[str, Any] = {"dt_ns": 1_000_000, "noise_std": 0.01, "spectrum": _SPECTRUM}
_UNKNOWN: dict[str, Callable[[Any], object]] = {
    "magnitude_as": lambda x: points(magnitude_as=x),
    "phase_unit": lambda x: points(phase_unit=x),
    "phase_sign": lambda x: points(phase_sign=x),
    "kind": lambda x: fit_frequency_response(points(), x),
    "criterion": lambda x: FrequencyFitSettings(criterion=x),
    "birge": lambda x: FrequencyFitSettings(birge=x),
    "transform": lambda x: Axis("flow", x),
    "form": lambda x: design(scene.parameters(SECOND), form=x, **_TUNED),
    "prior": lambda x: build_smoother(scene.parameters(SECOND), prior=x, **_TUNED),
    "interval": lambda x: MonteCarloSettings(interval=x),
    "between": lambda x: RecordSettings(between=x),
    "method": lambda x: fit_record(AlignedRecord(*scene.record(SECOND)), SECOND, method=x),
    "process": lambda x: KalmanSettings(process=x),
}


@pytest.mark.parametrize("what", _UNKNOWN)
def test_unknown_choices(what: str) -> None:
    with pytest.raises(InvalidData, match=f"{what} is one of .*, not 'bogus'"):
        _UNKNOWN[what]("bogus")
