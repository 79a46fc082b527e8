"""Every estimator from records, on every kind of bad record: the right answer, or the trouble by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dyncal.domain.sensors import ModelKind
from dyncal.identification.kalman import fit_kalman
from dyncal.identification.online import OnlineEstimator
from dyncal.identification.record_fit import fit_record
from dyncal.identification.records import AlignedRecord
from dyncal.models import model_of
from tests.hostile.metrology import scene
from tests.hostile.metrology.outcome import RIGHT, holds, said
from tests.hostile.metrology.scene import FIRST, SECOND, Record, put

nan, inf = float("nan"), float("inf")


def by_record(kind: ModelKind, data: Record) -> Any:
    return fit_record(AlignedRecord(*data), kind)


def by_kalman(kind: ModelKind, data: Record) -> Any:
    model = model_of(kind)
    return fit_kalman([AlignedRecord(*data)], model, model.to_internal(scene.TRUTH[kind]))


def online(kind: ModelKind, data: Record, chunk: int = 200) -> Any:
    t, y, r = data
    estimator = OnlineEstimator(kind, int(scene.record(kind)[0][1] - scene.record(kind)[0][0]))
    for k in range(0, t.size, chunk):
        estimator.update(AlignedRecord(t[k : k + chunk], y[k : k + chunk], r[k : k + chunk]))
    return estimator.estimate


def one_by_one(kind: ModelKind, data: Record) -> Any:
    return online(kind, data, 1)


Change = Callable[[Record], Record]
_BAD: dict[str, tuple[Change, str]] = {
    "sound": (lambda d: d, RIGHT),
    "NaN in the indication": (lambda d: (d[0], put(d[1], 500, nan), d[2]), RIGHT),
    "NaN in the reference": (lambda d: (d[0], d[1], put(d[2], slice(500, 505), nan)), RIGHT),
    "infinite indication": (lambda d: (d[0], put(d[1], 500, inf), d[2]), f"{RIGHT}|infinite"),
    "infinite reference": (lambda d: (d[0], d[1], put(d[2], 500, -inf)), f"{RIGHT}|infinite"),
    "beyond all measure": (lambda d: (d[0], put(d[1], 500, 1e300), d[2]), f"{RIGHT}|infinite"),
    "reference beyond all measure": (lambda d: (d[0], d[1], put(d[2], 500, -1e300)), f"{RIGHT}|infinite"),
    "all NaN": (lambda d: (d[0], np.full_like(d[1], nan), d[2]), "finite|that is a number|nothing"),
    "constant indication": (lambda d: (d[0], np.full_like(d[1], 3.3), d[2]), "indication is constant"),
    "constant reference": (lambda d: (d[0], d[1], np.full_like(d[2], 3.3)), "reference is constant"),
    "saturated indication": (lambda d: (d[0], np.minimum(d[1], np.quantile(d[1], 0.7)), d[2]), "indication is sat"),
    "saturated reference": (lambda d: (d[0], d[1], np.minimum(d[2], np.quantile(d[2], 0.7))), "reference is sat"),
    "no sample": (lambda d: (d[0][:0], d[1][:0], d[2][:0]), "no piece|nothing|no reference|no indication"),
    "one sample": (lambda d: (d[0][:1], d[1][:1], d[2][:1]), "no piece|nothing|values of"),
    "swapped": (lambda d: (d[0], d[2], d[1]), "swapped|not determine|gain is"),
    "wrong sign": (lambda d: (d[0], -d[1], d[2]), "wrong sign"),
    "thousandfold": (lambda d: (d[0], 1e3 * d[1], d[2]), r"units .* factor of 1e\+3"),
    "a thousandth": (lambda d: (d[0], 1e-3 * d[1], d[2]), "units .* factor of 1e-3"),
    "both in other units": (lambda d: (d[0], 1e-9 * d[1], 1e-9 * d[2]), RIGHT),
    "time twice": (lambda d: (np.sort(np.append(d[0][1:], d[0][7])), d[1], d[2]), "increase strictly"),
    "time backward": (lambda d: (d[0][::-1].copy(), d[1], d[2]), "increase strictly"),
    "spike in the reference": (
        lambda d: (d[0], d[1], put(d[2], 500, 1e6)),
        f"{RIGHT}|short against|explain|swapped|not determine|lone spike",
    ),
    "unrelated": (lambda d: (d[0], d[1][::-1].copy(), d[2]), "does not explain|not determine|gain is"),
}
_ENTRIES: dict[str, Callable[[ModelKind, Record], Any]] = {"record": by_record, "kalman": by_kalman, "online": online}


@pytest.mark.parametrize("bad", _BAD)
@pytest.mark.parametrize("entry", _ENTRIES)
@pytest.mark.parametrize("kind", [FIRST, SECOND])
def test_bad_records(kind: ModelKind, entry: str, bad: str) -> None:
    change, pattern = _BAD[bad]
    data = change(scene.record(kind))
    holds(said(lambda: _ENTRIES[entry](kind, data), scene.TRUTH[kind]), pattern)


@pytest.mark.parametrize("kind", [FIRST, SECOND])
def test_chunks_of_one_sample(kind: ModelKind) -> None:
    data = scene.record(kind)
    whole, cut = online(kind, data, data[0].size), one_by_one(kind, data)
    assert np.array_equal(whole.parameters.values, cut.parameters.values)
    assert np.array_equal(whole.parameters.cov, cut.parameters.cov)


_EXTREME = {
    "damping 1e-4": (SECOND, (1.0, 1e-4, 50.0), f"{RIGHT}|short against a time constant"),
    "tau below Ts": (FIRST, (1.0, 1e-4), "faster than its sampling|says too little of the dynamics"),
    "tau beyond the record": (FIRST, (1.0, 1e4), "short against|does not explain|not determine"),
    "resonance beyond Nyquist": (SECOND, (1.0, 0.1, 5e3), "not determine|explain|diverged|inconsistent|not_excited"),
}


@pytest.mark.parametrize("entry", ["record", "online"])
@pytest.mark.parametrize("case", _EXTREME)
def test_sensors_that_a_record_cannot_show(case: str, entry: str) -> None:
    kind, theta, pattern = _EXTREME[case]
    rng = np.random.default_rng(3)
    t, _, r = scene.record(kind)
    fine = np.interp(np.arange(t.size * 16) / 16, np.arange(t.size), r)
    y = scene.respond(kind, np.array(theta), fine, float(t[1] - t[0]) * 1e-9 / 16)[::16]
    y += 0.01 * rng.normal(size=t.size)
    holds(said(lambda: _ENTRIES[entry](kind, (t, y, r)), np.array(theta)), pattern)


def test_steps_of_a_command_are_no_saturation() -> None:
    rng = np.random.default_rng(7)
    t, _, _ = scene.record(FIRST)
    fine = np.repeat(np.cumsum(rng.choice([-1.0, 1.0], size=20)), t.size * 16 // 20)
    hum = 0.05 * np.sin(2 * np.pi * 49.7 * np.arange(t.size) * 0.01)
    y = scene.respond(FIRST, scene.TRUTH[FIRST], fine, 0.01 / 16)[::16] + hum + 0.01 * rng.normal(size=t.size)
    assert "saturated" not in said(lambda: by_record(FIRST, (t, y, fine[::16].copy())), scene.TRUTH[FIRST])
