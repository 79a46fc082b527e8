from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import report
from dyncal.identification.online.posterior import Posterior
from dyncal.identification.online.widening import widened
from dyncal.identification.settings import OnlineSettings
from dyncal.models import model_of

KINDS = (ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER, ModelKind.LEAD_LAG)


def reference(kind: ModelKind, posterior: Posterior, settings: OnlineSettings) -> tuple[FloatArray, FloatArray]:
    theta, cov = report.physical(model_of(kind), posterior.h, report.spread(posterior, settings))
    cov[0, 0] += (theta[0] * settings.u_reference_gain) ** 2
    return theta, (cov + cov.T) / 2


def some(kind: ModelKind, seed: int, dispersion: float) -> Posterior:
    rng, m = np.random.default_rng(seed), model_of(kind).n_parameters + 1
    root = rng.normal(size=(m, m))
    return Posterior(
        rng.normal(size=m), 100 * root @ root.T, rng.normal(size=(m, 2)), 1.0, 10.0, np.zeros(m - 1), dispersion
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(10))
def test_the_kernel_says_what_numpy_says(kind: ModelKind, seed: int) -> None:
    settings = OnlineSettings(u_reference=0.1, u_clock_s=0.01, u_reference_gain=0.02)
    posterior = some(kind, seed, dispersion=1.0 + seed)
    theta, cov = widened(model_of(kind), posterior, settings)
    wanted_theta, wanted = reference(kind, posterior, settings)
    assert theta == pytest.approx(wanted_theta, rel=1e-14)
    assert cov == pytest.approx(wanted, rel=1e-9, abs=1e-12 * float(np.abs(wanted).max()))
    assert cov.tobytes() == cov.T.tobytes()


def test_what_is_no_number_stays_none() -> None:
    posterior, model = some(ModelKind.FIRST_ORDER, 1, 1.0), model_of(ModelKind.FIRST_ORDER)
    posterior.considered[0, 0] = np.nan
    theta, cov = widened(model, posterior, OnlineSettings(u_reference=0.1))
    assert np.isfinite(theta).all()
    assert "gain" in report.unknown(model, theta, cov, 0.5)
