"""How the measurand moves between samples, as the reference itself shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from dyncal.identification.interpolation import CONTEXT, Interpolation, left_out
from dyncal.identification.record_fit.segments import Segment, Taken
from dyncal.identification.record_fit.settings import InterSample

LEAST: Final = 4 * CONTEXT
"""Values of the reference that a segment needs for splines."""
_CLEARLY_SMOOTHER: Final = 0.7  # ratio of rms errors


def long_enough(segment: Segment, least: int = LEAST) -> bool:
    """Tell whether a segment has so many values of the reference."""
    return segment.knots[0].size >= least


def spline_fits(segment: Segment, least: int = LEAST) -> bool:
    """Tell whether splines can be laid through the reference of a segment: long enough, without large steps."""
    return long_enough(segment, least) and segment.smooth


def course_of_reference(taken: Taken) -> InterSample:
    """Return the interpolation that best finds every second value of the reference from the others.

    A measurand as rough as a random walk is best met by straight lines, and so is one hidden by the reference's noise;
    a smooth one by splines, by far. (What is held between samples cannot be told from what is rough in this way.)
    """
    segments = [each for each in taken.segments if spline_fits(each, 2 * LEAST)]
    if not segments:
        return InterSample.LINEAR
    best, error = InterSample.LINEAR, _CLEARLY_SMOOTHER * _left_out(segments, Interpolation.LINEAR)
    for course, kind in ((InterSample.CUBIC, Interpolation.CUBIC), (InterSample.QUINTIC, Interpolation.QUINTIC)):
        own = _left_out(segments, kind)
        if own < error:
            best, error = course, _CLEARLY_SMOOTHER * own
    return best


def _left_out(segments: Sequence[Segment], kind: Interpolation) -> float:
    """Return the rms error of the odd values as interpolated between the even ones, away from the ends."""
    errors = [np.subtract(*left_out(*segment.knots, kind)) for segment in segments]
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))
