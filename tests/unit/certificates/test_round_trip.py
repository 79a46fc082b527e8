"""Written and read again: every number as it was, the same bytes for the same certificate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dyncal.certificates import vocabulary as v
from dyncal.certificates.certified import certified
from dyncal.certificates.document import Certificate, QuantityList, Result
from dyncal.certificates.parameters import response_covariance
from dyncal.certificates.quantity import AnyQuantity, ComplexQuantity, Quantity
from dyncal.certificates.reader import read_certificate
from dyncal.certificates.references import parameter_vector
from dyncal.certificates.responses import frequency_points
from dyncal.certificates.writer import write_certificate
from dyncal.domain.coefficients import CorrectionSmoother, MeasurandPrior, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
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


def _in_units(made: Certificate, ref_type: str, factors: FloatArray, *units: str) -> Certificate:
    """Return a certificate that states one of its quantities in other units."""

    def quantity(q: AnyQuantity) -> AnyQuantity:
        if ref_type not in q.ref_types:
            return q
        if isinstance(q, ComplexQuantity):
            both = np.array([factors[0], 1.0])
            assert q.cov is not None
            return replace(q, values=q.values * factors[0], cov=q.cov * np.outer(both, both), unit_text=units[0])
        assert isinstance(q, Quantity)
        u, cov = q.u, q.cov
        return replace(
            q,
            values=q.values * factors,
            u=None if u is None else u * np.abs(factors),
            cov=None if cov is None else cov * np.outer(factors, factors),
            units=units,
        )

    def result(r: Result) -> Result:
        return replace(r, data=tuple(
            replace(each, quantities=tuple(map(quantity, each.quantities))) if isinstance(each, QuantityList) else each
            for each in r.data
        ))  # fmt: skip

    (measurement,) = made.measurements
    return replace(made, measurements=(replace(measurement, results=tuple(map(result, measurement.results))),))


def test_parameters_stated_in_other_units_come_back_in_those_of_their_names() -> None:
    made = _in_units(certificate(FIRST), v.PARAMETERS, np.array([1.0, 1e3]), r"\one", r"\milli\second")
    back = certified(read_certificate(write_certificate(made))).parameters
    np.testing.assert_allclose(back.values, FIRST.values, rtol=1e-14)
    np.testing.assert_allclose(back.cov, FIRST.cov, rtol=1e-13)
    made = _in_units(
        certificate(SECOND), v.PARAMETERS, np.array([1.0, 100.0, 1e-3]), r"\one", r"\percent", r"\kilo\hertz"
    )
    back = certified(read_certificate(write_certificate(made))).parameters
    np.testing.assert_allclose(back.values, SECOND.values, rtol=1e-14)
    np.testing.assert_allclose(back.cov, SECOND.cov, rtol=1e-13)


def test_intervals_and_frequencies_stated_in_other_units_come_back_in_seconds_and_hertz() -> None:
    made = coefficient_set(SECOND, per_parameter=1)
    written = certificate(SECOND, coefficients=made)
    plain = certified(read_certificate(write_certificate(written)))
    dt_ms = np.array([1e3])
    other = _in_units(written, v.INTERVAL, dt_ms, r"\milli\second")
    other = _in_units(other, v.FREQUENCY, np.full(plain.f_hz.size, 1e-3), r"\kilo\hertz")
    other = _in_units(other, v.COMPLEX, np.array([100.0]), r"\percent")
    back = certified(read_certificate(write_certificate(other)))
    assert back.filter is not None
    assert plain.filter is not None
    assert back.filter.dt_ns == plain.filter.dt_ns
    np.testing.assert_allclose(back.f_hz, plain.f_hz, rtol=1e-14)
    np.testing.assert_allclose(back.response, plain.response, rtol=1e-14)
    np.testing.assert_allclose(back.cov_response, plain.cov_response, rtol=1e-12, atol=1e-30)


@pytest.mark.parametrize(
    ("factors", "unit", "message"),
    [
        ([1.0, -1.0], r"\second", "must be positive: tau_s -0.51"),
        ([1.0, 0.0], r"\second", "must be positive: tau_s 0"),
        ([1.0, 1.0], r"\kelvin", r"cannot be converted to .second"),
        ([1.0, 1.0], r"\hertz", r"cannot be converted to .second"),
    ],
)
def test_parameters_that_no_sensor_has_are_refused_by_name(factors: list[float], unit: str, message: str) -> None:
    document = write_certificate(_in_units(certificate(FIRST), v.PARAMETERS, np.array(factors), r"\one", unit))
    with pytest.raises(InvalidData, match=f"'parameters'.*{message}"):
        certified(read_certificate(document))
    if factors[1] <= 0:
        with pytest.raises(InvalidData, match=message):
            parameter_vector(read_certificate(document), FIRST.model)


def test_a_parameter_without_uncertainty_gets_no_certificate() -> None:
    exact = Parameters(FIRST.model, FIRST.names, FIRST.values, np.diag([1e-6, 0.0]))
    with pytest.raises(InvalidData, match=r"no calibration makes parameters certain: u of tau_s is 0"):
        certificate(exact)
