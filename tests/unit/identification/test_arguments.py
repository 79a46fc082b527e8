"""What is no argument is refused by name, whoever is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.identification.frequency_response import (
    FrequencyFitSettings,
    FrequencyPoints,
    fit_frequency_response,
)
from dyncal.identification.in_situ import PairRecord, StepRecord
from dyncal.identification.record_fit import RecordSettings, choose_model, fit_record
from dyncal.models import model_of
from tests.unit.identification.record_fit.records import random_record

FIRST = ModelKind.FIRST_ORDER


def _points() -> FrequencyPoints:
    f_hz = np.geomspace(0.01, 3, 12)
    response = model_of(FIRST).frequency_response(np.array([1.0, 0.5]), f_hz)
    return FrequencyPoints(f_hz, response, np.tile(1e-6 * np.eye(2), (12, 1, 1)))


@pytest.mark.parametrize(
    ("fit", "named"),
    [
        (
            lambda record: fit_record(record, FIRST, settings=RecordSettings(expected={"tau": (0.1, 1.0)})),
            "gain, tau_s",
        ),
        (
            lambda _: fit_frequency_response(_points(), FIRST, FrequencyFitSettings(expected={"tau": (0.1, 1.0)})),
            "gain, tau_s",
        ),
        (lambda record: choose_model(record, settings=RecordSettings(expected={"tau": (0.1, 1.0)})), "tauz_s"),
    ],
)
def test_a_misspelt_expectation_is_refused(fit: Callable[[AlignedRecord], object], named: str) -> None:
    with pytest.raises(InvalidData, match=f"expected tau: there is no such parameter, only .*{named}"):
        fit(random_record(FIRST, 400, 40.0, 1))


def test_what_is_expected_of_some_models_only_chooses_among_all() -> None:
    wishes = RecordSettings(expected={"tau_s": (0.1, 1.0), "f0_hz": (1.0, 9.0)})
    choice = choose_model(random_record(FIRST, 2000, 40.0, 1), [FIRST, ModelKind.SECOND_ORDER], settings=wishes)
    assert choice.fit.accepted, choice.fit.detail
    assert choice.fit.model.kind is FIRST


@pytest.mark.parametrize("settings", [RecordSettings, FrequencyFitSettings])
@pytest.mark.parametrize("given", [{"tau_s": 3}, {"tau_s": (1.0, 2.0, 3.0)}, {"tau_s": (2.0, 1.0)}, 5])
def test_what_is_no_range_is_refused(settings: Callable[..., object], given: Any) -> None:
    with pytest.raises(InvalidData, match="expected"):
        settings(expected=given)


def test_models_by_name_and_what_is_none() -> None:
    record = random_record(FIRST, 2000, 40.0, 1)
    wrong: Any = "first_order"
    assert fit_record(record, wrong).accepted
    for wrong in ("first order", None, 3):
        with pytest.raises(InvalidData, match="model is one of"):
            fit_record(record, wrong)


def test_records_that_are_none() -> None:
    record = random_record(FIRST, 50, 40.0, 1)
    wrong: Any = (record.t_ns, record.indication, record.reference)
    with pytest.raises(InvalidData, match="a record is an AlignedRecord, not a ndarray"):
        fit_record(wrong, FIRST)
    for name in ("t_ns", "indication", "reference"):
        parts: dict[str, Any] = {each: getattr(record, each) for each in ("t_ns", "indication", "reference")}
        parts[name] = parts[name].tolist()
        with pytest.raises(InvalidData, match=f"{name} must be an array, not a list"):
            AlignedRecord(**parts)


@pytest.mark.parametrize(("record", "names"), [(PairRecord, ("first", "second")), (StepRecord, ("indication",))])
def test_columns_that_are_no_arrays(record: type, names: tuple[str, ...]) -> None:
    whole: dict[str, Any] = {"t_ns": np.arange(300, dtype=np.int64)} | {name: np.zeros(300) for name in names}
    more = {"step_ns": 0} if record is StepRecord else {}
    for name, values in whole.items():
        with pytest.raises(InvalidData, match=f"{name} must be an array, not a list"):
            record(**{**whole, name: values.tolist()}, **more)


def test_numbers_that_are_none() -> None:
    wrong: Any = "a"
    with pytest.raises(InvalidData, match="u_reference must be finite and not negative, not a"):
        RecordSettings(u_reference=wrong)


def test_clocks_farther_apart_than_the_record_is_long() -> None:
    fit = fit_record(random_record(FIRST, 1000, 40.0, 1), FIRST, settings=RecordSettings(u_clock_s=100.0))
    assert fit.verdict is Verdict.NOT_IDENTIFIABLE
    assert fit.unobservable == ("tau_s",)
    assert "clocks that may be 800 s apart" in fit.detail


def test_values_whose_squares_are_nothing() -> None:
    record = random_record(FIRST, 1000, 40.0, 1)
    tiny = AlignedRecord(record.t_ns, record.indication * 1e-170, record.reference * 1e-170)
    fit = fit_record(tiny, FIRST)
    assert fit.verdict is Verdict.BAD_DATA
    assert "constant" in fit.detail
