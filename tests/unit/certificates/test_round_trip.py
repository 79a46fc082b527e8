"""Written and read again: every number as it was, the same bytes for the same certificate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dyncal.certificates.certified import certified
from dyncal.certificates.parameters import response_covariance
from dyncal.certificates.reader import read_certificate
from dyncal.certificates.references import parameter_vector
from dyncal.certificates.responses import frequency_points
from dyncal.certificates.writer import write_certificate
from dyncal.domain.coefficients import CorrectionSmoother, MeasurandPrior, Parameters
from dyncal.domain.time import DurationNs
from dyncal.models import named_model
from tests.unit.certificates.examples import (
    ADMINISTRATION,
    FIRST,
    FROM,
    LEAD_LAG,
    RATIONAL,
    REFERENCE,
    SECOND,
    TO,
    calibration,
    certificate,
    coefficient_set,
    evidence,
)

ALL = pytest.mark.parametrize("p", [FIRST, SECOND, LEAD_LAG, RATIONAL], ids=lambda p: p.model)


@ALL
def test_parameters_come_back_to_the_last_bit(p: Parameters) -> None:
    back = certified(read_certificate(write_certificate(certificate(p)))).parameters
    assert (back.model, back.names) == (p.model, p.names)
    np.testing.assert_array_equal(back.values, p.values)
    np.testing.assert_array_equal(back.cov, p.cov)


@ALL
def test_response_comes_back(p: Parameters) -> None:
    read = certified(read_certificate(write_certificate(certificate(p))))
    response, cov = response_covariance(p, read.f_hz)
    np.testing.assert_allclose(read.response, response, rtol=1e-14)
    scales = np.stack([np.abs(response), np.ones(response.size)], axis=1)
    u = np.sqrt(np.diagonal(cov, axis1=1, axis2=2)) * scales
    error = read.cov_response - cov * scales[:, :, None] * scales[:, None, :]
    assert np.max(np.abs(error) / (u[:, :, None] * u[:, None, :])) < 1e-12


@pytest.mark.parametrize("per_parameter", [1, 2])
def test_filter_comes_back_to_the_last_bit(per_parameter: int) -> None:
    made = coefficient_set(SECOND, per_parameter=per_parameter)
    read = certified(read_certificate(write_certificate(certificate(SECOND, coefficients=made))))
    back = read.filter
    assert back is not None
    assert read.set_id == made.id
    for name in ("dt_ns", "delay", "u_noise", "u_model", "band_hz"):
        assert getattr(back, name) == getattr(made.filter, name)
    for name in ("fir", "sos", "sensitivities"):
        np.testing.assert_array_equal(getattr(back, name), getattr(made.filter, name))


def test_filter_without_sections_comes_back() -> None:
    made = coefficient_set(FIRST, n_sections=0)
    back = certified(read_certificate(write_certificate(certificate(coefficients=made)))).filter
    assert back is not None
    assert back.sos.shape == (0, 6)


def test_a_smoother_comes_back() -> None:
    made = CorrectionSmoother(
        DurationNs(10_000_001),
        DurationNs(1_234_567_891),
        MeasurandPrior.BUTTERWORTH,
        0.1 / 3,
        2 / 3,
        4,
        0.01 / 3,
        1 / 3,
    )
    coefficients = replace(coefficient_set(FIRST), correction=made)
    back = certified(read_certificate(write_certificate(certificate(coefficients=coefficients))))
    assert back.filter is None
    assert back.smoother == made
    assert back.set_id == coefficients.id


def test_deviations_window_and_residuals_come_back() -> None:
    c = calibration(FIRST)
    read = certified(read_certificate(write_certificate(certificate())))
    assert c.conformity is not None
    assert read.deviations == {
        "uncorrected": c.conformity.raw,
        "as found": c.conformity.as_found,
        "as left": c.conformity.as_left,
    }
    assert read.window == (FROM, TO)
    figures = (read.n_samples, read.reduced_chi2, read.whiteness_p, read.noise_std)
    assert figures == (c.n_samples, c.reduced_chi2, c.whiteness_p, c.noise_std)


def test_units_may_differ_between_sensor_and_reference() -> None:
    written = certificate(evidence_units := SECOND, indication_unit="mV", measurand_unit="m/s2")
    read = certified(read_certificate(write_certificate(written)))
    assert str(read.gain_unit) == r"\milli\volt\metre\tothe{-1}\second\tothe{2}"
    assert "uncorrected" not in read.deviations
    np.testing.assert_array_equal(read.parameters.cov, evidence_units.cov)


def test_administration_equipment_statements_come_back() -> None:
    written = certificate()
    read = read_certificate(write_certificate(written))
    assert read.administration == replace_software(written)
    assert read.statements == written.statements
    measured, original = read.measurements[0], written.measurements[0]
    assert measured.methods == original.methods
    assert measured.equipment == original.equipment
    assert original.equipment[0].certificate == REFERENCE.certificate
    assert [said.decision for said in measured.statements] == [said.decision for said in original.statements]
    assert measured.conditions[0].text == evidence().conditions[0].text
    assert read.n_signatures == 0


def replace_software(written: object) -> object:
    from dataclasses import replace

    from dyncal.certificates.administration import this_software

    return replace(ADMINISTRATION, software=(this_software(),))


@ALL
def test_the_same_certificate_gives_the_same_bytes(p: Parameters) -> None:
    assert write_certificate(certificate(p)) == write_certificate(certificate(p))


@ALL
def test_another_reader_gets_points_and_parameters_from_it(p: Parameters) -> None:
    read = read_certificate(write_certificate(certificate(p)))
    points = frequency_points(read)
    model = named_model(p.model, p.names)
    np.testing.assert_allclose(points.response, model.frequency_response(p.values, points.f_hz), rtol=1e-12)
    back = parameter_vector(read, p.model)
    np.testing.assert_array_equal(back.values, p.values)
    np.testing.assert_array_equal(back.cov, p.cov)
