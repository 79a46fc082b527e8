"""Whether the measurand is still what a design was told: innovations of the indications.

A one-step predictor of the indications is designed from the same spectrum, sensor and noise as the correction (P taps
that add up to 1, so that a level cancels); its errors ν have the variance S if all of that is so. Where the mean of
ν²/S leaves 0.8 to 1.25 the spectrum is to be fitted anew, and until then u_model is to be computed again for the one
that there is: a misstated bandwidth costs up to 18 times the error, and a u that stays covers 9 to 24 %. A measurand
slower than stated shows only where the signal, not the noise, makes S; u is then larger than need be, never too small.

A shock is no other spectrum: a few innovations beyond 6 standard deviations, which chance makes one of in 5e8, and the
rest as stated. u as stated does not cover it (`dyncal.correction.design.events` does), and the samples are named.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.correction.design.asked import check_asked
from dyncal.correction.design.judge import Judge, ResponseBand
from dyncal.correction.design.normal_equations import all_pole
from dyncal.correction.design.sensor import sensor_of
from dyncal.correction.design.spectrum import MeasurandSpectrum
from dyncal.correction.folding import ComplexArray, Folding
from dyncal.correction.inputs import Numbers, samples
from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S

BoolArray = npt.NDArray[np.bool_]

LOW, HIGH = 0.8, 1.25
"""Bounds of mean ν²/S within which a design stays."""

_TAPS: Final = 48
_SHOCK: Final = 6.0  # standard deviations
_HALF: Final = 0.5
_FEWEST: Final = 200  # innovations: the mean of ν²/S then scatters by 0.1
_POINTS: Final = 1 << 13
_FOLDS: Final = 8
_LEAST: Final = 1e-12


class Word(enum.StrEnum):
    """What the innovations say."""

    AS_STATED = "as_stated"
    REFIT = "refit"
    SHOCK = "shock"
    TOO_FEW = "too_few"


@dataclass(frozen=True, slots=True, eq=False)
class Innovations:
    """Mean ν²/S of a record, how many ν it is of, and what that says.

    Attributes
    ----------
    ratio : float
        Without what a shock has spoilt, where `word` says that there was one.
    shocks : bool, shape (n_record,)
        Where an innovation lies beyond 6 standard deviations: corrected values whose window has such a sample in it are
        not covered by u.
    """

    ratio: float
    n: int
    word: Word
    shocks: BoolArray


class Watch:
    """A predictor for one design.

    Parameters
    ----------
    parameters : Parameters
    dt_ns : int
    noise_std : float
    spectrum : MeasurandSpectrum
        All as for the design.

    Raises
    ------
    InvalidData
        If the parameters are no stable sensor, or numbers are out of range.
    """

    def __init__(self, parameters: Parameters, *, dt_ns: int, noise_std: float, spectrum: MeasurandSpectrum) -> None:
        check_asked(dt_ns, noise_std, spectrum)
        sensor, folding = sensor_of(parameters), Folding(dt_ns / NS_PER_S, _POINTS, _FOLDS)
        seen = folding.fold(spectrum.at(folding.omega) * np.abs(sensor.response(folding.omega)) ** 2).real
        density = seen + max(noise_std**2, _LEAST * float(np.mean(seen)))
        auto = folding.covariance(density, _TAPS + 1)
        matrix = auto[np.abs(np.subtract.outer(np.arange(_TAPS), np.arange(_TAPS)))]
        a, b = np.linalg.solve(matrix, np.column_stack([auto[1:], np.ones(_TAPS)])).T
        taps = a + (1 - a.sum()) / b.sum() * b
        self._whitener: FloatArray = np.concatenate([[1.0], -taps])
        # by the integral: the normal equations would lose it to cancellation
        self._variance = float(np.mean(density * np.abs(folding.response(self._whitener)) ** 2))

    def of(self, indication: Numbers) -> Innovations:
        """Return what the innovations of a uniform record say; NaN and what is beyond 1e100 is left out.

        Raises
        ------
        InvalidData
            If it is no record of one dimension, or holds no real numbers.
        """
        y = samples("a record", indication)
        with np.errstate(invalid="ignore"):
            y = np.where(np.abs(y) < 1e100, y, np.nan)
        if y.size <= _TAPS:
            return Innovations(math.nan, 0, Word.TOO_FEW, np.zeros(y.size, np.bool_))
        windows = np.lib.stride_tricks.sliding_window_view(y, _TAPS + 1)[:, ::-1]
        square = np.square(windows @ self._whitener) / self._variance
        with np.errstate(invalid="ignore"):
            shocks = np.concatenate([np.zeros(_TAPS, np.bool_), square > _SHOCK**2])
        whole, n = _mean(square)
        if n < _FEWEST:
            return Innovations(whole, n, Word.TOO_FEW, shocks)
        rest, n_rest = _mean(square[~_spoilt(shocks)[_TAPS:]])
        if shocks.any() and n_rest >= _FEWEST and LOW <= rest <= HIGH:
            return Innovations(rest, n_rest, Word.SHOCK, shocks)
        return Innovations(whole, n, Word.AS_STATED if LOW <= whole <= HIGH else Word.REFIT, shocks)


def _mean(square: FloatArray) -> tuple[float, int]:
    """Return the mean of what is finite, NaN where nothing is, and its number."""
    finite = square[np.isfinite(square)]
    return (float(np.mean(finite)) if finite.size else math.nan), int(finite.size)


def _spoilt(shocks: BoolArray) -> BoolArray:
    """Return where the predictor has a shock in its window, or where one begins to show."""
    near = np.convolve(shocks, np.ones(2 * _TAPS + 1))[: shocks.size + _TAPS] > _HALF
    return np.asarray(near[_TAPS:], np.bool_)


def restated(
    correction: CorrectionFilter,
    parameters: Parameters,
    *,
    noise_std: float,
    spectrum: MeasurandSpectrum,
    u_response: ResponseBand = 0.0,
) -> CorrectionFilter:
    """Return the same filter with u_noise, u_model, band and sensitivities for another spectrum or noise.

    Raises
    ------
    InvalidData
        As `dyncal.correction.design.wiener.design`.
    """
    sensor, dt_s = sensor_of(parameters), correction.dt_ns / NS_PER_S
    folding = Folding(dt_s, 1 << 14, _FOLDS)
    judge = Judge(sensor, folding, spectrum, noise_std)
    prediction = judge.of(response_of(correction, folding), correction.delay, parameters.cov, u_response)
    return replace(
        correction,
        u_noise=prediction.u_noise,
        u_model=prediction.u_model,
        band_hz=prediction.band_hz,
        sensitivities=prediction.sensitivities,
    )


def response_of(correction: CorrectionFilter, folding: Folding) -> ComplexArray:
    """Return a filter's response below Nyquist, shape (points,)."""
    digital = folding.response(correction.fir)
    if correction.sos.size:
        angle = folding.omega[0] * folding.dt_s
        z = np.exp(-1j * angle)
        digital = digital * all_pole(correction.sos[:, 4:], angle)
        for b0, b1, b2 in correction.sos[:, :3]:
            digital = digital * (b0 + b1 * z + b2 * z * z)
    return digital


__all__ = ["HIGH", "LOW", "Innovations", "Watch", "Word", "response_of", "restated"]
