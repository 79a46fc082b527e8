"""When a sensor gets a new coefficient set: pure rules over what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dyncal.domain.time import NS_PER_S
from services.calibrate import response
from services.calibrate.settings import CalibrateSection

SIGNIFICANCE: Final = 0.99
_REFINED: Final = 0.5
_SPECTRUM_RATIO: Final = 1.6
_FAR: Final = 2.0
_MAX_DOUBLINGS: Final = 6


@dataclass(frozen=True, slots=True)
class InForce:
    """What the policy compares with: the set that is in force.

    `change` is the relative change of the response against it, `distance2` the squared Mahalanobis distance of the
    `n_parameters`, `u_response` what its response was known to, `corner_ratio` the measurand's bandwidth now over then.
    """

    change: float
    distance2: float
    n_parameters: int
    u_response: float
    corner_ratio: float


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of a sensor: relative `u_response` of the fit, and what is in force, where there is a set."""

    u_response: float
    in_force: InForce | None


def wish(situation: Situation, rules: CalibrateSection) -> str | None:
    """Return why a new set is wished for, or None.

    A first set is made as soon as the response is known well enough over the band. Later ones where the parameters
    moved significantly (99 %) and the response with them by an amount that matters, where it is known at least twice as
    well as before, or where the measurand's bandwidth changed.
    """
    now = situation.in_force
    if situation.u_response > rules.max_u_response:
        return None
    if now is None:
        return f"first set: response known to {situation.u_response:.2%}"
    if now.change >= rules.min_change and response.significant(now.distance2, now.n_parameters, SIGNIFICANCE):
        return f"parameters moved: response changed by {now.change:.2%}, distance² {now.distance2:.1f}"
    if now.u_response >= rules.min_change and situation.u_response <= _REFINED * now.u_response:
        return f"refined: response known to {situation.u_response:.2%} instead of {now.u_response:.2%}"
    if not 1 / _SPECTRUM_RATIO <= now.corner_ratio <= _SPECTRUM_RATIO:
        return f"measurand changed: bandwidth {now.corner_ratio:.2f} times what it was"
    return None


def urgent(situation: Situation, rules: CalibrateSection) -> bool:
    """Tell whether a new set is wished for because the parameters moved far: twice what is worth one."""
    now = situation.in_force
    if now is None or situation.u_response > rules.max_u_response or now.change < _FAR * rules.min_change:
        return False
    return response.significant(now.distance2, now.n_parameters, SIGNIFICANCE)


def wait_ns(rules: CalibrateSection, *, first: bool, moving: bool, n_rejected: int) -> int:
    """Return the time for which no further candidate is made [ns].

    It doubles with each further candidate that was rejected in a row. A sensor that has no set yet is tried eight times
    as often, and one whose parameters are moving after `moving_interval_s`.
    """
    interval_s = rules.min_interval_s / (8 if first else 1)
    if moving:
        interval_s = min(interval_s, rules.moving_interval_s)
    return round(interval_s * float(1 << min(max(n_rejected - 1, 0), _MAX_DOUBLINGS)) * NS_PER_S)
