"""What can be set of a record fit."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dyncal.domain.choices import choice
from dyncal.identification.expected import check_ranges
from dyncal.identification.ranges import not_negative, positive, stated

FARTHEST_CLOCK: Final = 8.0
"""Standard uncertainties of the clock that are looked at."""


class Method(enum.StrEnum):
    """By which likelihood a record is fitted (docs/metrology.md)."""

    OUTPUT_ERROR = "output error"
    INNOVATIONS = "innovations form"
    KALMAN = "full Kalman likelihood"


class InterSample(enum.StrEnum):
    """How the measurand moves between samples of the reference.

    `ZERO`: held, as behind a D/A converter; `LINEAR`: straight lines; `CUBIC` and `QUINTIC`: splines, for a measurand
    that has hardly anything near the Nyquist frequency.
    """

    ZERO = "zero-order hold"
    LINEAR = "first-order hold"
    CUBIC = "cubic spline"
    QUINTIC = "quintic spline"


SPLINES: Final = (InterSample.CUBIC, InterSample.QUINTIC)
"""Courses that want a reference without large steps, with values beyond either end of what is read."""


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """Settings of `fit_record`; what a certificate says of the reference, and how to judge.

    Attributes
    ----------
    u_reference : float
        Standard uncertainty of the reference, systematic part, in the sensor's unit.
    u_reference_noise : float
        Standard deviation of the reference's own white noise, in the sensor's unit; 0 where nothing is known of it. One
        that the reference's differences contradict is refused.
    u_reference_gain : float
        Standard uncertainty of the reference's gain, relative.
    u_clock_s : float
        Standard uncertainty of the clock offset between sensor and reference [s].
    noise_std : float, optional
        Standard deviation of the sensor's noise where it is known, for an absolute χ²; example: 0.02. The covariance
        rests on the residuals all the same; where these differ fivefold, `detail` says so.
    between : InterSample, optional
        What the measurand does between samples; None lets the data choose.
    max_delay_s : float, optional
        Longest dead time looked for [s]; None takes a tenth of the record, and three tenths where that does not do.
        A dead time found at the end of the range is not accepted. Of models with a dead time only.
    max_relative_u : float
        A parameter that is known less well than this, relative, is named unobservable.
    expected : mapping of parameter name to (lowest, highest)
        What a data sheet says: the guard against wrong units. A gain far from 1 is suspect unless it is given here.
    offset_apart, clock_apart_s : float
        Standard uncertainties of the reference's zero and of the clock offset [s] that the caller counts apart: they
        neither widen the covariance nor are estimated, but a fit is not refused for a shift that they explain.
    """

    u_reference: float = 0.0
    u_reference_noise: float = 0.0
    u_reference_gain: float = 0.0
    u_clock_s: float = 0.0
    noise_std: float | None = None
    between: InterSample | None = None
    max_delay_s: float | None = None
    max_relative_u: float = 0.25
    expected: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    offset_apart: float = 0.0
    clock_apart_s: float = 0.0

    def __post_init__(self) -> None:
        not_negative(self, "u_reference", "u_reference_noise", "u_reference_gain", "u_clock_s")
        not_negative(self, "offset_apart", "clock_apart_s")
        positive(self, *stated(self, "noise_std", "max_delay_s"), "max_relative_u")
        if self.between is not None:
            object.__setattr__(self, "between", choice(InterSample, self.between, "between"))
        check_ranges(self.expected)
