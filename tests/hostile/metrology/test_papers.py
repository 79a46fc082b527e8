"""What is told of sensors beside records: certificates, baselines of drift, Monte Carlo, filters at the unit circle."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dyncal.certificates.calibration import Evidence, certificate_of
from dyncal.certificates.certified import certified
from dyncal.certificates.document import Administration, Contact, Person
from dyncal.certificates.reader import read_certificate
from dyncal.certificates.writer import write_certificate
from dyncal.correction.uncertain.recursive import UncertainIIR
from dyncal.domain.calibration import Calibration, Verdict
from dyncal.domain.coefficients import Parameters
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.drift import DriftMonitor
from dyncal.uncertainty import MultivariateNormal, monte_carlo, validate
from dyncal.uncertainty.validation import GumResult
from tests.hostile.metrology import scene
from tests.hostile.metrology.outcome import holds, said
from tests.hostile.metrology.scene import FIRST, SECOND

nan, inf = float("nan"), float("inf")
_DAY = datetime.date(2026, 11, 22)
_PLANT = Contact("Plant", city="Braunschweig", country="DE")
_ADMINISTRATION = Administration("D-1", "DE", _DAY, _DAY, _PLANT, (Person("A", main_signer=True),), _PLANT)
_SOUND = Calibration(
    id="c", sensor=SensorId("s"), reference=SensorId("r"), parameters=scene.parameters(FIRST),
    verdict=Verdict.ACCEPTED, unobservable=(), reduced_chi2=1.0, whiteness_p=0.4, noise_std=0.02, n_samples=100,
    window_from_ns=InstantNs(0), window_to_ns=InstantNs(10**9), fitted_at_ns=InstantNs(0), method="m",
)  # fmt: skip


def written(parameters: Parameters | None = None, dt_ns: int = 10_000_000, **changed: Any) -> bytes:
    calibration = replace(_SOUND, parameters=parameters or _SOUND.parameters, **changed)
    return write_certificate(certificate_of(Evidence(calibration, "Cel", "Cel", dt_ns), _ADMINISTRATION))


def of(theta: tuple[float, ...], cov: Any = None) -> Parameters:
    return scene.parameters(FIRST, np.array(theta), None if cov is None else np.array(cov))


_CERTIFICATES: dict[str, tuple[Callable[[], object], str]] = {
    "NaN": (lambda: written(of((1.0, nan), np.eye(2))), "finite"),
    "no sensor": (lambda: written(of((1.0, -1.0))), "positive"),
    "infinite u": (lambda: written(of((1.0, 0.5), [[inf, 0], [0, 1]])), "not a finite number"),
    "indefinite": (lambda: written(of((1.0, 0.5), [[1, 2], [2, 1]])), "not positive semidefinite"),
    "not accepted": (lambda: written(verdict=Verdict.DIVERGED), "not accepted"),
    "NaN beside": (lambda: written(noise_std=nan), "not a finite number"),
    "no interval": (lambda: written(dt_ns=0), "no record"),
    "fewer than no samples": (lambda: written(n_samples=-5), "no record"),
    "backward": (lambda: written(window_from_ns=InstantNs(10**9), window_to_ns=InstantNs(0)), "before they begin"),
    "no XML": (lambda: read_certificate(b"junk"), "not a certificate"),
    "half": (lambda: read_certificate(written()[:2000]), "not a certificate"),
}


@pytest.mark.parametrize("case", _CERTIFICATES)
def test_certificates(case: str) -> None:
    call, pattern = _CERTIFICATES[case]
    holds(said(call), f"^refused: .*{pattern}")


@pytest.mark.parametrize("damping", [1e-4, 0.1])
def test_extreme_sensors_come_back(damping: float) -> None:
    told = scene.parameters(SECOND, np.array([1.0, damping, 50.0]))
    again = certified(read_certificate(written(told)))
    assert np.allclose(again.parameters.values, told.values, rtol=1e-12, atol=0)
    assert np.allclose(again.parameters.cov, told.cov, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("theta", "cov"),
    [((1.0, nan), np.eye(2)), ((1.0, 0.5), -np.eye(2)), ((1.0, 0.5), np.zeros((2, 2))), ((1.0,), np.eye(1))],
)
def test_baselines(theta: tuple[float, ...], cov: np.ndarray[Any, Any]) -> None:
    monitor = DriftMonitor(("gain", "tau_s"))
    monitor.rebaseline(np.array([1.0, 0.5]), np.eye(2))
    before = monitor.snapshot()
    holds(said(lambda: monitor.rebaseline(np.array(theta), cov)), "^refused: .*finite parameters .* positive definite")
    assert monitor.snapshot() == before


def drawn(model: Any, values: tuple[float, ...] = (1.0, 2.0), cov: Any = None) -> object:
    spread = np.eye(2) * 1e-4 if cov is None else np.array(cov)
    return monte_carlo(MultivariateNormal(np.array(values), spread), model, seed=1)


_SURE = GumResult(np.array([1.0]), np.array([0.1]))
_DRAWN: dict[str, tuple[Callable[[], object], str]] = {
    "indefinite": (lambda: drawn(lambda x: x, cov=[[1, 2], [2, 1]]), "indefinite"),
    "NaN": (lambda: drawn(lambda x: x, (nan, 1.0)), "finite"),
    "NaN out": (lambda: drawn(lambda x: x * nan), "no finite numbers"),
    "infinite out": (lambda: drawn(lambda x: x * inf), "no finite numbers"),
    "some NaN": (lambda: drawn(lambda x: np.where(x > 1.01, nan, x)[:, :1]), "no finite numbers for"),
    "too large": (lambda: drawn(lambda x: x * 1e300), "range of numbers"),
    "too small": (lambda: drawn(lambda x: x * 1e-300), "range of numbers"),
    "complex": (lambda: drawn(lambda x: x + 1j), "real and imaginary"),
    "no digits": (lambda: validate(_SURE, drawn(lambda x: x[:, :1]), digits=0), "digits"),  # type: ignore[arg-type]
    "two against one": (lambda: validate(_SURE, drawn(lambda x: x)), "compared"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", _DRAWN)
def test_monte_carlo(case: str) -> None:
    call, pattern = _DRAWN[case]
    holds(said(call), f"^refused: .*{pattern}")


@pytest.mark.parametrize("near", [0.0, 1e-8, 1e-9, 1e-12])
def test_a_pole_on_the_unit_circle_beside_one_near_it(near: float) -> None:
    holds(said(lambda: UncertainIIR([1.0], [1.0, -2 + near, 1 - near])), "^refused: .*not stable")
