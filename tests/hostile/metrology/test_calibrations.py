"""Static calibrations, schedules and identification in place, on the same bad input: right, or the trouble by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from dyncal.domain.coefficients import Parameters
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.in_situ import (
    CrossRelationSettings,
    PairRecord,
    StepRecord,
    fit_cross_relation,
    fit_loop_current,
)
from dyncal.models.axes import Axis
from dyncal.models.schedule_fit import CalibrationAt, ScheduleSettings, fit_schedule
from dyncal.models.static_fit import Pairs, StaticSettings, fit_static
from tests.hostile.metrology.outcome import RIGHT, holds
from tests.hostile.metrology.outcome import said as outcome
from tests.hostile.metrology.scene import FIRST, put
from tests.unit.identification.in_situ.pairs import pair
from tests.unit.identification.in_situ.thermometer import transient

nan, inf = float("nan"), float("inf")
Case = tuple[Callable[[], object], str]


def said(call: Callable[[], Any]) -> str:
    """Return the outcome; what has no verdict is right where pairs and curve stand together."""

    def answer() -> Any:
        found = call()
        return found if hasattr(found, "accepted") else _Judged(found)

    return outcome(answer)


class _Judged:
    def __init__(self, found: Any) -> None:
        self.accepted, self.verdict, self.detail = found.consistent, "inconsistent", found.detail


_Y = np.linspace(4.0, 16.0, 9)


def static(settings: StaticSettings | None = None, **changed: Any) -> object:
    rng = np.random.default_rng(1)
    x = -2.0 + 0.7 * _Y + 0.02 * _Y**2 + 0.03 * rng.normal(size=9)
    given: dict[str, Any] = {"y": _Y + 0.05 * rng.normal(size=9), "x": x, "u_y": 0.05, "u_x": 0.03}
    changed = {name: change(given[name]) if callable(change) else change for name, change in changed.items()}
    return fit_static(Pairs(**given | changed), settings)


_SLOPE = StaticSettings(slope_limits=(0.5, 2.0))
_INDEFINITE = 1e-3 * np.where(np.eye(9) > 0, 1.0, 2.0)
_STATIC: dict[str, Case] = {
    "sound": (static, RIGHT),
    "NaN": (lambda: static(y=lambda y: put(y, 3, nan)), "refused.*finite"),
    "infinite": (lambda: static(x=lambda x: put(x, 3, -inf)), "refused.*finite"),
    "beyond all measure": (lambda: static(x=lambda x: put(x, 3, 1e300)), "refused.*below"),
    "constant indication": (lambda: static(y=lambda y: np.full_like(y, 3.3)), "refused.*stuck, or saturated"),
    "constant measurand": (lambda: static(x=lambda x: np.full_like(x, 3.3)), "refused.*(depend|monotone)"),
    "saturated": (lambda: static(y=lambda y: np.minimum(y, y[4])), "refused|inconsistent"),
    "one pair": (lambda: static(y=lambda y: y[:1], x=lambda x: x[:1]), "refused.*pairs"),
    "no pair": (lambda: static(y=lambda y: y[:0], x=lambda x: x[:0]), "refused.*pairs"),
    "unequal": (lambda: static(x=lambda x: x[:-1]), "refused.*no pairs"),
    "one point twice": (lambda: static(y=lambda y: put(y, 4, y[3]), x=lambda x: put(x, 4, x[3])), RIGHT),
    "indefinite covariance": (lambda: static(u_x=_INDEFINITE), "refused.*(positive|definite)"),
    "no uncertainty": (lambda: static(u_x=0.0, u_y=0.0), "refused.*uncertainty neither"),
    "negative uncertainty": (lambda: static(u_x=-1.0), "refused.*negative"),
    "NaN as uncertainty": (lambda: static(u_y=nan), "refused.*finite"),
    "swapped": (lambda: fit_static(Pairs(-2 + 0.7 * _Y, 4 * _Y, 0.05, 0.03), _SLOPE), "refused.*slope"),
    "wrong sign": (lambda: static(_SLOPE, x=lambda x: -x), "refused.*slope.*-1"),
    "thousandfold": (lambda: static(_SLOPE, x=lambda x: 1e3 * x, u_x=30.0), "refused.*slope.*1000"),
    "a thousandth": (lambda: static(_SLOPE, x=lambda x: 1e-3 * x, u_x=3e-5), "refused.*slope.*0.001"),
    "one pair off": (lambda: static(x=lambda x: put(x, 4, x[4] + 3)), "inconsistent|refused.*monotone"),
}

_COV = np.array([[1e-6, 4e-6], [4e-6, 1e-4]])


def calibration(t: float, theta: tuple[float, float] | None = None, cov: FloatArray | None = None) -> CalibrationAt:
    """Gain rises by 0.001 /°C, ln τ falls by 0.01 /°C."""
    values = np.array(theta or (1 + 1e-3 * (t - 20), 0.5 * np.exp(-0.01 * (t - 20))))
    own = values[:, None] * _COV * values if cov is None else cov
    return CalibrationAt({"temperature_degc": t}, Parameters(ModelKind.FIRST_ORDER, ("gain", "tau_s"), values, own))


def scheduled(
    changed: Mapping[int, CalibrationAt] | None = None, settings: ScheduleSettings | None = None, n: int = 8
) -> object:
    line = [calibration(t) for t in np.linspace(20, 80, n).tolist()]
    for k, other in (changed or {}).items():
        line[k] = other
    return fit_schedule([Axis("temperature_degc")], line, settings or ScheduleSettings(degree=1))


def outside(value: float) -> object:
    found: Any = scheduled()
    return found.at({"temperature_degc": value})


_SCHEDULES: dict[str, Case] = {
    "sound": (scheduled, RIGHT),
    "NaN": (lambda: scheduled({3: calibration(45.0, (nan, 0.4))}), "refused.*finite"),
    "infinite condition": (lambda: scheduled({3: calibration(inf, (1.0, 0.4))}), "refused.*finite"),
    "no lag": (lambda: scheduled({3: calibration(45.0, (1.0, 0.0), _COV)}), "refused.*positive"),
    "negative lag": (lambda: scheduled({3: calibration(45.0, (1.0, -0.4))}), "refused.*positive"),
    "indefinite covariance": (
        lambda: scheduled({3: calibration(45.0, cov=1e-6 * np.array([[1.0, 2.0], [2.0, 1.0]]))}),
        "refused.*semidefinite",
    ),
    "NaN as covariance": (lambda: scheduled({3: calibration(45.0, cov=np.full((2, 2), nan))}), "refused.*finite"),
    "certain": (lambda: scheduled({3: calibration(45.0, cov=np.zeros((2, 2)))}), "refused.*no uncertainty"),
    "one calibration": (lambda: scheduled(n=1), "refused.*calibrations"),
    "one condition": (lambda: scheduled({k: calibration(20.0) for k in range(8)}), "refused.*nothing can be said"),
    "one twice": (lambda: scheduled({4: calibration(np.linspace(20, 80, 8)[3])}), RIGHT),
    "milliseconds": (lambda: scheduled({3: calibration(45.0, (1.025, 390.0))}), "1000"),
    "wrong sign": (lambda: scheduled({3: calibration(45.0, (-1.025, 0.39))}), "inconsistent|refused"),
    "outside": (lambda: outside(200.0), "refused.*outside"),
    "NaN condition": (lambda: outside(nan), "refused.*finite"),
}  # fmt: skip


@cache
def two() -> PairRecord:
    return pair(3, (FIRST, FIRST), ((1.0, 0.2), (1.05, 0.5)))


def crossed(settings: CrossRelationSettings | None = None, *, n: int | None = None, **change: Any) -> object:
    record = two()
    parts = {name: change.get(name, lambda x: x)(getattr(record, name))[:n] for name in ("t_ns", "first", "second")}
    return fit_cross_relation(PairRecord(**parts), FIRST, FIRST, settings)


_ALIKE = "inconsistent|not_identifiable|not_excited|bad_data|refused"
_PAIRS: dict[str, Case] = {
    "sound": (crossed, RIGHT),
    "NaN": (lambda: crossed(first=lambda y: put(y, 500, nan)), "refused.*finite"),
    "infinite": (lambda: crossed(second=lambda y: put(y, 500, inf)), "refused.*finite"),
    "constant": (lambda: crossed(first=lambda y: np.full_like(y, 3.3)), "constant"),
    "saturated": (lambda: crossed(second=lambda y: np.minimum(y, np.quantile(y, 0.7))), "saturated"),
    "one sample": (lambda: crossed(n=1), "refused"),
    "no sample": (lambda: crossed(n=0), "refused"),
    "backward": (lambda: crossed(t_ns=lambda t: t[::-1].copy()), "refused.*(increase|even)"),
    "time twice": (lambda: crossed(t_ns=lambda t: np.sort(np.append(t[1:], t[7]))), "refused.*(increase|even)"),
    "wrong sign": (lambda: crossed(second=lambda y: -y), "sign"),
    "thousandfold": (lambda: crossed(second=lambda y: 1e3 * y), "unit"),
    "unrelated": (lambda: crossed(second=lambda y: y[::-1].copy()), _ALIKE),
    "the same twice": (lambda: crossed(second=lambda _: two().first), "alike"),
    "no noise stated": (lambda: crossed(CrossRelationSettings(noise_std=(0.0, 0.0))), "refused.*noise_std"),
}  # fmt: skip


@cache
def step() -> StepRecord:
    return transient(3.0, seed=1)


def stepped(n: int | None = None, step_ns: int = 0, **change: Any) -> object:
    record = step()
    parts = {name: change.get(name, lambda x: x)(getattr(record, name))[:n] for name in ("t_ns", "indication")}
    return fit_loop_current(StepRecord(**parts, step_ns=step_ns))


_STEPS: dict[str, Case] = {
    "sound": (stepped, RIGHT),
    "NaN": (lambda: stepped(indication=lambda y: put(y, 500, nan)), "refused.*finite"),
    "infinite": (lambda: stepped(indication=lambda y: put(y, 500, inf)), "refused.*finite"),
    "constant": (lambda: stepped(indication=lambda y: np.full_like(y, 3.3)), "refused.*constant"),
    "saturated": (lambda: stepped(indication=lambda y: np.minimum(y, 20.5)), "refused.*saturated"),
    "one sample": (lambda: stepped(1), "refused.*too few"),
    "no sample": (lambda: stepped(0), "refused.*too few"),
    "backward": (lambda: stepped(t_ns=lambda t: t[::-1].copy()), "refused.*increase"),
    "no step": (lambda: stepped(indication=lambda y: 0.01 * np.random.default_rng(1).normal(size=y.size)), "noise"),
    "tau beyond the record": (lambda: stepped(200), "not settled|not determined|not_identifiable"),
    "step stated too early": (lambda: stepped(t_ns=lambda t: t + 0, step_ns=-5_000_000_000), f"{RIGHT}|stated instant"),
    "cooling": (lambda: stepped(indication=lambda y: -y), RIGHT),
}


@pytest.mark.parametrize(
    ("case", "call", "pattern"),
    [
        pytest.param(name, *case, id=f"{group}: {name}")
        for group, cases in (("static", _STATIC), ("schedule", _SCHEDULES), ("pair", _PAIRS), ("step", _STEPS))
        for name, case in cases.items()
    ],
)
def test_bad_calibrations(case: str, call: Callable[[], object], pattern: str) -> None:
    holds(said(call), pattern)


def test_a_calibration_far_off_does_not_move_the_schedule_in_silence() -> None:
    found: Any = scheduled({3: replace(calibration(45.0), condition={"temperature_degc": 45e3})})
    assert not found.consistent
