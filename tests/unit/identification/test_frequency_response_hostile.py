"""Points that no laboratory should deliver: each is refused by name, or gets a verdict that names the trouble."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.frequency_response import (
    FrequencyFit,
    FrequencyFitSettings,
    FrequencyPoints,
    Magnitude,
    PhaseSign,
    PhaseUnit,
    fit_frequency_response,
)
from dyncal.models import Delayed, Static, model_of
from tests.unit.identification.laboratory import ACCELEROMETER, SECOND, Laboratory

FIRST = model_of(ModelKind.FIRST_ORDER)
LAGGING = np.array([0.8, 1.5e-4])
DATA_SHEET = FrequencyFitSettings(expected={"gain": (9.0, 11.0), "f0_hz": (15e3, 40e3)})


def _columns(seed: int = 1) -> list[FloatArray]:
    return [column.copy() for column in Laboratory().columns(SECOND, ACCELEROMETER, np.random.default_rng(seed))]


def _read(columns: list[FloatArray], **conventions: object) -> FrequencyPoints:
    return FrequencyPoints.from_magnitude_phase(*columns, laboratory="PTX", **conventions)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("column", "name"), [(0, "frequency"), (1, "magnitude"), (2, "phase"), (3, "u of magnitude"), (4, "u of phase")]
)
def test_what_is_not_finite_is_named(column: int, name: str, value: float) -> None:
    columns = _columns()
    columns[column][7] = value
    with pytest.raises(InvalidData, match=f"PTX: .*{name}.*not finite"):
        _read(columns)


@pytest.mark.parametrize(
    ("column", "index", "value", "message"),
    [
        (0, 0, -10.0, "negative"),
        (0, 1, 10.0, "10.0 Hz is there 2 times"),
        (1, 3, 0.0, "is not positive; is it in dB"),
        (1, 3, -20.0, "is it in dB"),
        (3, 5, 0.0, "u of magnitude at .* is not positive"),
        (4, 5, -0.1, "u of phase at .* is not positive"),
    ],
)
def test_a_point_that_cannot_be_is_named(column: int, index: int, value: float, message: str) -> None:
    columns = _columns()
    columns[column][index] = value
    with pytest.raises(InvalidData, match=message):
        _read(columns)


def test_conventions_that_cannot_be_are_named() -> None:
    columns = _columns()
    columns[1] *= 1000
    with pytest.raises(InvalidData, match="linear, not in dB"):
        _read(columns, magnitude_as=Magnitude.DB)
    columns = _columns()
    columns[2] *= 10
    with pytest.raises(InvalidData, match="in degrees"):
        _read(columns, phase_unit=PhaseUnit.RADIANS)
    with pytest.raises(InvalidData, match="correlation"):
        _read(_columns(), correlation=1.0)
    with pytest.raises(InvalidData, match="magnitude for"):
        _read([_columns()[0], _columns()[1][:-1], *_columns()[2:]])
    for name in ("u_common_magnitude", "u_delay_s"):
        for value in (-0.1, np.nan, np.inf):
            with pytest.raises(InvalidData, match="finite and not negative"):
                _read(_columns(), **{name: value})


def _pair(cov: FloatArray) -> FrequencyPoints:
    return FrequencyPoints(np.array([10.0, 20.0]), np.array([1.0, 1.0 - 0.1j]), cov, "PTX")


@pytest.mark.parametrize(
    ("cov", "message"),
    [
        (np.array([np.eye(2), [[1.0, 2.0], [2.0, 1.0]]]), "at 20.0 Hz is not positive definite"),
        (np.array([np.eye(2), [[1.0, 1.0], [1.0, 1.0]]]), "at 20.0 Hz is not positive definite"),
        (np.array([np.eye(2), [[1.0, 0.5], [0.0, 1.0]]]), "not symmetric"),
        (np.array([np.eye(2), [[1.0, 0.0], [0.0, 0.0]]]), "variance at 20.0 Hz"),
        (np.array([np.eye(2), [[np.nan, 0.0], [0.0, 1.0]]]), "not finite"),
        (np.eye(4) - 0.5, "not positive definite"),
        (np.diag([1.0, 1.0, 1.0, -1.0]), "variance at 20.0 Hz"),
        (np.zeros((4, 4)), "variance at 10.0 Hz"),
        (np.eye(3), "has shape"),
        (np.eye(2), "has shape"),
    ],
)
def test_a_covariance_that_is_none_is_named(cov: FloatArray, message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        _pair(np.asarray(cov))


def test_shapes_zeros_and_names() -> None:
    with pytest.raises(InvalidData, match="go together"):
        FrequencyPoints(np.array([1.0]), np.array([1.0, 2.0]), np.eye(2)[None])
    with pytest.raises(InvalidData, match="go together"):
        FrequencyPoints(np.array([]), np.array([]), np.empty((0, 2, 2)))
    with pytest.raises(InvalidData, match="exactly 0"):
        FrequencyPoints(np.array([1.0]), np.array([0j]), np.eye(2)[None])
    points = Laboratory().points(None)
    with pytest.raises(InvalidData, match="no laboratory"):
        fit_frequency_response([])
    with pytest.raises(InvalidData, match="no model"):
        fit_frequency_response(points, [])
    with pytest.raises(InvalidData, match="laboratory 'A' is there twice"):
        fit_frequency_response([points, points])
    with pytest.raises(InvalidData, match="there twice"):
        fit_frequency_response(points, [FIRST, ModelKind.FIRST_ORDER])
    with pytest.raises(InvalidData, match="rational"):
        fit_frequency_response(points, [ModelKind.RATIONAL])
    fit = fit_frequency_response(points, [Static(1, (0.0, 1.0))])
    assert fit.verdict is Verdict.NOT_IDENTIFIABLE
    assert "cannot be fitted" in fit.detail


@pytest.mark.parametrize(
    "arguments",
    [
        {"consistency_level": 0.0},
        {"consistency_level": np.nan},
        {"max_birge": 0.5},
        {"max_relative_u": -1.0},
        {"expected": {"gain": (2.0, 1.0)}},
    ],
)
def test_settings_are_checked(arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidData):
        FrequencyFitSettings(**arguments)  # type: ignore[arg-type]


def _lagging(**conventions: object) -> FrequencyPoints:
    columns = Laboratory().columns(FIRST, LAGGING, np.random.default_rng(2))
    return _read(list(columns), **conventions)


def _not_accepted(fit: FrequencyFit, hint: str) -> None:
    assert not fit.accepted
    assert hint in fit.detail, fit.detail


def test_phases_of_the_wrong_sign() -> None:
    _not_accepted(fit_frequency_response(_lagging(phase_sign=PhaseSign.LAG_POSITIVE), [FIRST]), "other sign")
    fit = fit_frequency_response(_lagging(phase_sign=PhaseSign.LAG_POSITIVE), [FIRST, Delayed(FIRST)])
    _not_accepted(fit, "other sign")


def test_a_phase_ahead_of_its_cause_is_no_dead_time() -> None:
    model = Delayed(model_of(ModelKind.FIRST_ORDER))
    points = Laboratory().points(np.random.default_rng(3), model, np.array([1.0, 1e-4, -2e-5]))
    fit = fit_frequency_response(points, [model])
    assert fit.verdict is Verdict.INCONSISTENT
    assert "delay_s" in fit.detail


def test_polarity_inverted() -> None:
    points = Laboratory().points(np.random.default_rng(4), FIRST, -LAGGING * [1, -1])
    fit = fit_frequency_response(points, [FIRST])
    assert fit.verdict is Verdict.INCONSISTENT
    assert "polarity" in fit.detail
    expected = FrequencyFitSettings(expected={"gain": (-1.0, -0.5)})
    assert fit_frequency_response(points, [FIRST], expected).accepted


def test_phase_units_confused() -> None:
    fit = fit_frequency_response(_lagging(), [FIRST])
    assert fit.accepted
    columns = list(Laboratory(phase_unit=PhaseUnit.RADIANS).columns(FIRST, LAGGING, np.random.default_rng(2)))
    _not_accepted(fit_frequency_response(_read(columns), [FIRST]), "taken in radians")
    short = [column[:27] for column in Laboratory().columns(FIRST, LAGGING, np.random.default_rng(2))]
    points = _read(short, phase_unit=PhaseUnit.RADIANS)
    _not_accepted(fit_frequency_response(points, [FIRST]), "taken in degrees")


def test_decibels_confused() -> None:
    theta = np.array([50.0, 1.5e-4])
    decibel = list(Laboratory(magnitude_as=Magnitude.DB).columns(FIRST, theta, np.random.default_rng(2)))
    _not_accepted(fit_frequency_response(_read(decibel), [FIRST]), "in dB, not linear")
    linear = list(Laboratory().columns(FIRST, theta, np.random.default_rng(2)))
    points = _read(linear, magnitude_as=Magnitude.DB)
    _not_accepted(fit_frequency_response(points, [FIRST]), "as linear, not in dB")


def test_decibels_confused_far_below_the_resonance_need_a_data_sheet() -> None:
    points = _read(_columns(), magnitude_as=Magnitude.DB)
    fit = fit_frequency_response(points, [SECOND], DATA_SHEET)
    _not_accepted(fit, "expected")
    assert "as linear, not in dB" in fit.detail


@pytest.mark.parametrize(("column", "name"), [(0, "f0_hz"), (1, "gain")])
@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_units_wrong_by_1000(column: int, name: str, factor: float) -> None:
    columns = _columns()
    columns[column] *= factor
    if column == 1:
        columns[3] *= factor
    fit = fit_frequency_response(_read(columns), [SECOND], DATA_SHEET)
    assert fit.verdict is Verdict.INCONSISTENT
    assert name in fit.detail
    assert f"{factor:g} times what it should be" in fit.detail


@pytest.mark.parametrize(("column", "hint"), [(0, "frequencies divided by 1000"), (1, "magnitudes divided by 1000")])
def test_one_laboratory_of_two_in_other_units(column: int, hint: str) -> None:
    columns = _columns()
    columns[column] *= 1000
    if column == 1:
        columns[3] *= 1000
    good = Laboratory("A").points(np.random.default_rng(9))
    fit = fit_frequency_response([good, _read(columns)], [SECOND])
    assert not fit.accepted
    assert f"PTX would fit with its {hint}" in fit.detail


def test_one_laboratory_of_two_with_the_other_sign() -> None:
    theta = np.array([1.0, 0.3, 6000.0])
    one = Laboratory("A").points(np.random.default_rng(1), SECOND, theta)
    columns = list(Laboratory().columns(SECOND, theta, np.random.default_rng(2)))
    fit = fit_frequency_response([one, _read(columns, phase_sign=PhaseSign.LAG_POSITIVE)], [SECOND])
    assert fit.verdict is Verdict.INCONSISTENT
    assert "PTX would fit with the other sign" in fit.detail


@pytest.mark.parametrize("seed", range(8))
def test_noise_without_a_sensor_is_not_accepted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    response = rng.normal(size=49) + 1j * rng.normal(size=49)
    points = FrequencyPoints(np.geomspace(10, 1e4, 49), response, np.full((49, 1, 1), 1e-6) * np.eye(2))
    kinds = [FIRST, SECOND, model_of(ModelKind.LEAD_LAG), Delayed(SECOND)]
    assert not fit_frequency_response(points, kinds, FrequencyFitSettings(diagnose=False)).accepted


@pytest.mark.parametrize("size", [1e-12, 1e12])
def test_units_far_from_one_do_not_matter(size: float) -> None:
    columns = _columns()
    columns[1] *= size
    columns[3] *= size
    fit = fit_frequency_response(_read(columns), [SECOND])
    assert fit.accepted
    assert fit.parameters is not None
    assert fit.parameters.values[0] == pytest.approx(10.2 * size, rel=2e-3)


@pytest.mark.parametrize("tau_s", [1e3, 1e6, 1e12])
def test_a_sensor_far_slower_than_the_points_is_named(tau_s: float) -> None:
    """A slope of -20 dB a decade and 90° everywhere: gain over time constant is all that there is."""
    rng, f_hz = np.random.default_rng(0), np.geomspace(1, 1000, 17)
    h = FIRST.frequency_response(np.array([1.0, tau_s]), f_hz)
    magnitude, phase = np.abs(h) * (1 + 0.002 * rng.normal(size=17)), np.angle(h, deg=True) + 0.2 * rng.normal(size=17)
    points = _read([f_hz, magnitude, phase, 0.002 * np.abs(h), np.full(17, 0.2)], phase_unit=PhaseUnit.DEGREES)
    for kind in (ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER, ModelKind.LEAD_LAG):
        fit = fit_frequency_response(points, kind)
        assert fit.verdict is Verdict.NOT_IDENTIFIABLE
        assert "gain" in fit.unobservable
        assert "determine" in fit.detail
