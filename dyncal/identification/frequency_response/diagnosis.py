"""Which mistake in a laboratory's data would explain that they do not fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.identification.frequency_response.candidate import fit_model
from dyncal.identification.frequency_response.points import Form, FrequencyPoints
from dyncal.identification.frequency_response.result import FrequencyFitSettings
from dyncal.models.base import ComplexArray, ResponseModel

_DB: Final = 20 / np.log(10)
_MOST_DB: Final = 1000.0
_MOST: Final = 4
_Change = Callable[[FrequencyPoints], FrequencyPoints]


def explain(
    models: Sequence[ResponseModel], laboratories: Sequence[FrequencyPoints], settings: FrequencyFitSettings
) -> str:
    """Name each single mistake, of those that people make, without which some model fits; empty if none does.

    Each is tried on all laboratories and, only if that explains nothing, on each alone. Where two laboratories differ
    by a factor, either may be wrong, and both are named.
    """
    every = list(range(len(laboratories)))
    found = _explaining("the points", every, models, laboratories, settings)
    if not found and len(laboratories) > 1:
        for k in every:
            found += _explaining(laboratories[k].laboratory, [k], models, laboratories, settings)
    return "; or ".join(found[:_MOST])


def _explaining(
    who: str,
    group: list[int],
    models: Sequence[ResponseModel],
    laboratories: Sequence[FrequencyPoints],
    settings: FrequencyFitSettings,
) -> list[str]:
    # a factor in all laboratories alike shows only against what is expected
    mistakes = _MISTAKES if len(group) == len(laboratories) and not settings.expected else _MISTAKES + _FACTORS
    found = []
    for text, change in mistakes:
        try:
            changed = [change(points) if k in group else points for k, points in enumerate(laboratories)]
        except InvalidData:
            continue
        if any(fit_model(model, changed, settings).row.verdict is Verdict.ACCEPTED for model in models):
            found.append(f"{who} would fit {text}")
    return found


def _other_sign(points: FrequencyPoints) -> FrequencyPoints:
    return _replaced(points, points.response.conj(), np.ones(len(points)), -np.ones(len(points)))


def _inverted(points: FrequencyPoints) -> FrequencyPoints:
    return _replaced(points, -points.response, *np.ones((2, len(points))))


def _degrees(points: FrequencyPoints) -> FrequencyPoints:
    """Take as radians what was read as degrees."""
    angle = np.angle(points.response) * 180 / np.pi
    one = np.ones(len(points))
    _polar_only(points)
    return _replaced(points, np.abs(points.response) * np.exp(1j * angle), one, one * 180 / np.pi)


def _radians(points: FrequencyPoints) -> FrequencyPoints:
    """Take as degrees what was read as radians, and turned more than once."""
    _polar_only(points)
    order = np.argsort(points.f_hz)
    angle = np.empty(len(points))
    angle[order] = np.unwrap(np.angle(points.response[order])) * np.pi / 180
    one = np.ones(len(points))
    return _replaced(points, np.abs(points.response) * np.exp(1j * angle), one, one * np.pi / 180)


def _decibel(points: FrequencyPoints) -> FrequencyPoints:
    """Take as dB what was read as linear."""
    _polar_only(points)
    size = np.abs(points.response)
    if bool(np.any(size > _MOST_DB)):
        raise InvalidData("no magnitudes in dB")
    one = np.ones(len(points))
    return _replaced(points, np.exp(size / _DB) * points.response / size, size / _DB, one)


def _linear(points: FrequencyPoints) -> FrequencyPoints:
    """Take as linear what was read as dB."""
    _polar_only(points)
    size = _DB * np.log(np.abs(points.response))
    if bool(np.any(size <= 0)):
        raise InvalidData("no linear magnitudes")
    one = np.ones(len(points))
    return _replaced(points, size * points.response / np.abs(points.response), _DB / size, one)


def _times(factor: float) -> _Change:
    def change(points: FrequencyPoints) -> FrequencyPoints:
        scale = np.full(len(points), factor if points.form is Form.COMPLEX else 1.0)
        return _replaced(points, points.response * factor, scale, scale)

    return change


def _faster(factor: float) -> _Change:
    def change(points: FrequencyPoints) -> FrequencyPoints:
        f_hz = points.f_hz * factor
        return FrequencyPoints(
            f_hz, points.response, points.cov, points.laboratory, points.form, points.u_magnitude, points.u_delay_s
        )

    return change


_FACTORS: Final[tuple[tuple[str, _Change], ...]] = (
    ("with its magnitudes multiplied by 1000: wrong units?", _times(1000)),
    ("with its magnitudes divided by 1000: wrong units?", _times(1e-3)),
    ("with its frequencies multiplied by 1000: in kHz?", _faster(1000)),
    ("with its frequencies divided by 1000: wrong units?", _faster(1e-3)),
)
_MISTAKES: Final[tuple[tuple[str, _Change], ...]] = (
    ("with the other sign of the phase", _other_sign),
    ("with the polarity inverted (phase off by 180°)", _inverted),
    ("with the phases taken in radians, not degrees", _degrees),
    ("with the phases taken in degrees, not radians", _radians),
    ("with the magnitudes taken in dB, not linear", _decibel),
    ("with the magnitudes taken as linear, not in dB", _linear),
)


def _polar_only(points: FrequencyPoints) -> None:
    if points.form is not Form.POLAR:
        raise InvalidData("given as complex numbers")


def _replaced(
    points: FrequencyPoints, response: ComplexArray, first: FloatArray, second: FloatArray
) -> FrequencyPoints:
    """Return the points with another response, the errors of both coordinates multiplied."""
    if points.cov.ndim == 2:
        scale = np.concatenate([first, second])
        cov = points.cov * scale[:, None] * scale
    else:
        scale = np.stack([first, second], axis=-1)
        cov = points.cov * scale[:, :, None] * scale[:, None, :]
    return FrequencyPoints(
        points.f_hz, response, cov, points.laboratory, points.form, points.u_magnitude, points.u_delay_s
    )
