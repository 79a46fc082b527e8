"""What blocks say of a sensor: one that changes slowly is followed, and one at rest after a blow has not changed."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord, OnlineEstimator, OnlineSettings
from dyncal.identification.online.snapshot import decode
from dyncal.identification.settings import Likelihood
from dyncal.models import model_of
from tests.unit.identification.plant import OVERSAMPLING, THERMOCOUPLE, changed, part

RATE_HZ, FOULS_AT = 20.0, 3000
KALMAN = OnlineSettings(likelihood=Likelihood.KALMAN)
INNOVATIONS = OnlineSettings(likelihood=Likelihood.INNOVATIONS, u_reference_noise=0.0003)


def lags(end: float, within_s: float, n: int) -> FloatArray:
    """Return τ of a thermocouple at n samples, which goes from 1 s towards `end` [s] from sample `FOULS_AT` on."""
    since_s = np.maximum(np.arange(n) - FOULS_AT, 0) / RATE_HZ
    return np.asarray(1.0 + (end - 1.0) * (1 - np.exp(-since_s / within_s)))


@pytest.mark.parametrize("snr_db", [34.0, 50.0])
@pytest.mark.parametrize("settings", [KALMAN, INNOVATIONS], ids=["full", "innovations"])
def test_a_thermocouple_that_fouls_is_followed(settings: OnlineSettings, snr_db: float) -> None:
    noise = settings.u_reference_noise or 0.01
    tau = lags(2.0, 100.0, 6000)
    plant = replace(THERMOCOUPLE, snr_db=snr_db, u_reference_noise=noise)
    record = plant.fouling(tau, seed=1)
    estimator = OnlineEstimator(plant.kind, plant.dt_ns, settings)
    estimator.update(part(record, 0, FOULS_AT))
    off = []
    for at in range(FOULS_AT, tau.size, 20):
        estimator.update(part(record, at, at + 20))
        found = estimator.estimate
        assert found is not None
        assert found.parameters is not None
        off.append(found.parameters.values[1] / tau[at + 19] - 1)
    assert np.sqrt(np.mean(np.square(off))) < 0.06  # 0.1 to 0.3 where its drift is taken for scatter
    assert abs(off[-1]) < 0.06


def test_a_sensor_that_has_lost_gain_far_from_zero_is_found_again_once_it_stands() -> None:
    """A tenth of 60 scatters in 40 s: no parameters explain a block while it goes, and none need to afterwards."""
    at, loses, n = np.arange(6000), 40 * RATE_HZ, 6000
    gain = 1.0 - 0.1 * np.clip((at - FOULS_AT) / loses, 0, 1)
    plant = replace(THERMOCOUPLE, mean=60.0)
    record = plant.record(n, seed=4)
    record = changed(record, y=gain * record.indication)
    estimator = OnlineEstimator(plant.kind, plant.dt_ns, OnlineSettings())
    there = FOULS_AT + int(loses) + 800  # 40 s later
    estimator.update(part(record, 0, FOULS_AT + int(loses)))
    lost = estimator.estimate
    assert lost is not None
    assert not lost.accepted
    estimator.update(part(record, FOULS_AT + int(loses), there))
    found = estimator.estimate
    assert found is not None
    assert found.parameters is not None
    assert found.accepted, found.detail
    assert abs(found.parameters.values[0] - 0.9) < 4 * found.parameters.u[0] + 1e-4


@pytest.mark.parametrize("settings", [KALMAN, INNOVATIONS], ids=["full", "innovations"])
def test_a_snapshot_of_before_blocks_were_compared_in_a_row_is_read(settings: OnlineSettings) -> None:
    """It does not hold what the newest block said: the next one is compared with none, and the sensor is followed."""
    noise = settings.u_reference_noise or 0.01
    tau = lags(2.0, 100.0, 4000)
    record = replace(THERMOCOUPLE, snr_db=34, u_reference_noise=noise).fouling(tau, seed=1)
    estimator = OnlineEstimator(THERMOCOUPLE.kind, THERMOCOUPLE.dt_ns, settings)
    estimator.update(part(record, 0, FOULS_AT))
    held = decode(estimator.snapshot())
    for arrays in (held.state, *(full.arrays for full in held.full.values())):
        arrays.pop("newest")
    again = OnlineEstimator.restore(msgspec.msgpack.encode(held))
    before, known = estimator.estimate, again.estimate
    assert before is not None
    assert known is not None
    assert known.verdict is before.verdict
    assert len(again.update(part(record, FOULS_AT, tau.size))) > 2
    found = again.estimate
    assert found is not None
    assert found.parameters is not None
    assert abs(found.parameters.values[1] / tau[-1] - 1) < 0.06


def shocks(n: int, seed: int) -> AlignedRecord:
    """Return n samples of an accelerometer under half-sine shocks of 4 ms every half second, at rest between them."""
    rng, rate_hz, noise = np.random.default_rng(seed), 4000.0, 0.2
    fine = np.arange(n * OVERSAMPLING) / rate_hz / OVERSAMPLING
    since = np.mod(fine - 0.2, 0.5)
    x = np.where((fine >= 0.2) & (since < 0.004), 500.0 * np.sin(np.pi * since / 0.004), 0.0)
    z = model_of(ModelKind.SECOND_ORDER).simulate(
        np.array([1.0, 0.03, 400.0]), np.round(fine * 1e9).astype(np.int64), x
    )
    t = np.arange(n, dtype=np.int64) * 250_000
    y, r = (v[::OVERSAMPLING] + noise * rng.normal(size=n) for v in (z, x))
    return AlignedRecord(t, y, r)


def test_blocks_of_a_ring_down_say_nothing_of_the_gain() -> None:
    estimator = OnlineEstimator(ModelKind.SECOND_ORDER, 250_000, OnlineSettings(u_reference=0.2))
    blocks = estimator.update(shocks(14_000, seed=16))
    assert len(blocks) > 3
    assert not any(block.reset or block.rejected for block in blocks)
    assert all(abs(block.theta[0] - 1) < 0.01 for block in blocks)
    found = estimator.estimate
    assert found is not None
    assert found.accepted, found.detail
