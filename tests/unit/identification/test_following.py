"""A sensor that changes slowly is followed: what it changes by is no scatter of its blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dyncal.domain.samples import FloatArray
from dyncal.identification import OnlineEstimator, OnlineSettings
from dyncal.identification.settings import Likelihood
from tests.unit.identification.plant import THERMOCOUPLE, part

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
