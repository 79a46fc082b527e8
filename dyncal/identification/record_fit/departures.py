"""What a sensor does that its model cannot: it changes while the record is taken, or has play; or its reference lags.

Either goes into lags and gain by many of their standard uncertainties, and leaves residuals that some noise model or
other explains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.coefficients import Parameters
from dyncal.domain.samples import FloatArray
from dyncal.identification.record_fit.assemble import Parts
from dyncal.identification.record_fit.constancy import change_between, cut, suspect
from dyncal.identification.record_fit.play import play_of
from dyncal.identification.record_fit.result import RecordFit
from dyncal.identification.record_fit.segments import Taken
from dyncal.identification.record_fit.slow_reference import lag_of_reference

_LOOKED_AT = (Verdict.ACCEPTED, Verdict.INCONSISTENT, Verdict.DIVERGED)


def departed(parts: Parts, found: RecordFit, of_part: Callable[[Taken], RecordFit]) -> RecordFit:
    """Return a fit that is not accepted where the sensor does what its model cannot, and says so.

    Parameters
    ----------
    of_part : callable
        Fits a part of the record in the same way, without asking this of it.
    """
    if found.parameters is None or found.verdict not in _LOOKED_AT:
        return found
    words = _play(parts, found.parameters) or _change(parts, found, found.parameters, of_part) or _lag(parts, found)
    if not words:
        return found
    detail = words if found.accepted else f"{words}; with that, {found.detail}"
    return replace(found, verdict=Verdict.INCONSISTENT, detail=detail)


def _play(parts: Parts, whole: Parameters) -> str:
    found = play_of(parts.setup, parts.simple)
    if found is None or not found.sure:
        return ""
    return found.words if found.matters(_jacobian(parts, whole), whole.u) else ""


def _jacobian(parts: Parts, whole: Parameters) -> FloatArray:
    """Return ∂θ/∂(η, T), where T is one of θ."""
    p, jacobian = parts.setup.model.n_parameters, np.eye(whole.values.size)
    jacobian[:p, :p] = parts.setup.model.internal_jacobian(parts.simple.h[:p])
    return jacobian


def _lag(parts: Parts, found: RecordFit) -> str:
    """Say of a pair that does not fit together that it is the reference that lags."""
    lag = None if found.accepted else lag_of_reference(parts.setup, parts.simple)
    return lag.words if lag else ""


def _change(parts: Parts, found: RecordFit, whole: Parameters, of_part: Callable[[Taken], RecordFit]) -> str:
    at_ns = suspect(parts.setup, parts.stage)
    if at_ns is None:
        return ""
    before, after = (of_part(part) for part in cut(parts.setup.taken, at_ns))
    if before.accepted and after.accepted:
        change = change_between(at_ns, before, after, whole)
        return change.words if change else ""
    if not found.accepted:
        return ""
    for name, part in (("before", before), ("after", after)):
        # a part that is too short says nothing of the whole
        if part.verdict is Verdict.INCONSISTENT:
            return f"what lies {name} {at_ns} ns is refused by itself: {part.detail}"
    return ""
