"""What every registry must do with laboratory calibrations."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.errors import NotFound
from dyncal.domain.laboratory import LaboratoryCalibration
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.registry import Registry
from dyncal.testing.registry import S1, S2, T0, act, make_parameters


def make_laboratory(name: str = "lab-1", sensor: SensorId = S1, k: int = 0) -> LaboratoryCalibration:
    """Return a laboratory calibration measured at second `k`, whose numbers have no short decimal form."""
    return LaboratoryCalibration(
        id=name,
        sensor=sensor,
        laboratory="Łódź",
        certificate="D-K-1/26",
        calibrated_ns=InstantNs(T0 + k * 1_000_000_000),
        added_ns=act(9).at_ns,
        f_hz=np.array([0.1, 1 / 3]),
        response=np.array([[1 / 3, -np.pi], [0.5, -2e-300]]),
        cov=np.stack([np.eye(2) / 7, np.eye(2)]),
        form="polar",
        u_magnitude=0.01,
        u_delay_s=0.0,
        parameters=make_parameters(),
        chi2=1.5,
        dof=2,
        p_value=0.47,
        detail="the only one",
        media_type="application/xml",
        sha256="0" * 64,
    )


class LaboratoryRegistryContract:
    """Derive from it beside `RegistryContract`, which gives the fixture ``registry``."""

    def test_a_laboratory_calibration_comes_back_with_its_file(self, registry: Registry) -> None:
        given, file = make_laboratory(), b'<dcc version="3.3.0">\xc5\x81</dcc>\x00'
        assert registry.add_laboratory(given, file, act(1, "new certificate"))
        found = registry.laboratory(given.id)
        for name in ("f_hz", "response", "cov"):
            assert getattr(found, name).tobytes() == getattr(given, name).tobytes()
            assert getattr(found, name).shape == getattr(given, name).shape
        assert found.parameters.cov.tobytes() == given.parameters.cov.tobytes()
        assert (found.laboratory, found.calibrated_ns, found.form) == ("Łódź", given.calibrated_ns, "polar")
        assert registry.laboratory_source(given.id) == file
        entry = registry.audit()[-1]
        assert (entry.action, entry.subject, entry.reason) == ("laboratory.add", given.id, "new certificate")

    def test_the_same_once_more_is_no_change(self, registry: Registry) -> None:
        assert registry.add_laboratory(make_laboratory(), b"1", act())
        before = registry.audit()
        assert not registry.add_laboratory(make_laboratory(k=3), b"2", act(1))
        assert registry.audit() == before
        assert registry.laboratory_source("lab-1") == b"1"
        with pytest.raises(NotFound):
            registry.laboratory("lab-2")
        with pytest.raises(NotFound):
            registry.laboratory_source("lab-2")

    def test_laboratory_calibrations_come_newest_first_and_page_by_page(self, registry: Registry) -> None:
        for name, sensor, k in (("b", S1, 1), ("d", S1, 1), ("a", S1, 2), ("c", S2, 3), ("e", S1, 0)):
            registry.add_laboratory(make_laboratory(name, sensor, k), b"", act(k))
        assert [found.id for found in registry.laboratories()] == ["c", "a", "d", "b", "e"]
        assert [found.id for found in registry.laboratories(S1, limit=2)] == ["a", "d"]
        last = registry.laboratory("d")
        assert [found.id for found in registry.laboratories(S1, before=(last.calibrated_ns, "d"))] == ["b", "e"]
