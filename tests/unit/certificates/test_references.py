"""Certificates of other laboratories: what is got out of them, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.certificates.parsing import place
from dyncal.certificates.quantity import Quantity
from dyncal.certificates.reader import read_certificate
from dyncal.certificates.references import parameter_vector, stated
from dyncal.certificates.responses import Selection, frequency_points
from dyncal.certificates.search import tables
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.identification.frequency_response.points import FrequencyPoints, PhaseSign
from tests.unit.certificates.foreign import (
    ACCELEROMETER,
    THERMOMETER,
    certificate,
    column,
    expanded,
    name,
    single,
    table,
)


def _points(data: str, **options: object) -> FrequencyPoints:
    return frequency_points(read_certificate(certificate(data)), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", ["3.0.0", "3.1.2", "3.2.1", "3.3.0"])
def test_points_of_an_accelerometer(version: str) -> None:
    read = read_certificate(certificate(ACCELEROMETER, version))
    points = frequency_points(read, unit="C/(m/s2)", phase_sign=PhaseSign.LAG_POSITIVE)
    assert (read.version, points.laboratory) == (version, "Kalibrierlabor")
    np.testing.assert_array_equal(points.f_hz, [10, 100, 1000])
    np.testing.assert_allclose(np.abs(points.response), [0.1280e-12, 0.1282e-12, 0.1301e-12], rtol=1e-14)
    np.testing.assert_allclose(np.angle(points.response, deg=True), [-0.1, -0.5, -1.8], rtol=1e-13)
    u_relative = np.array([0.00032, 0.00032, 0.00052]) / [0.1280, 0.1282, 0.1301]
    np.testing.assert_allclose(np.sqrt(points.cov[:, 0, 0]), u_relative, rtol=1e-13)
    np.testing.assert_allclose(np.sqrt(points.cov[:, 1, 1]), np.deg2rad(0.25), rtol=1e-13)


def test_names_are_read_in_english_where_there_is_english() -> None:
    read = read_certificate(certificate(ACCELEROMETER))
    assert read.administration.items[0].name == "transducer"
    assert read.measurements[0].name == "result"


def test_decibel_are_taken_as_such() -> None:
    data = table(
        column("f", "0.01 0.1", r"\kilo\hertz"),
        column("level", "-20 -26", r"\decibel", expanded("0.2")),
        column("phase", "0.0 -0.1", r"\radian", expanded("0.02")),
    )
    points = _points(data)
    np.testing.assert_array_equal(points.f_hz, [10, 100])
    np.testing.assert_allclose(np.abs(points.response), [0.1, 10**-1.3], rtol=1e-14)
    np.testing.assert_allclose(np.sqrt(points.cov[:, 0, 0]), 0.1 * np.log(10) / 20, rtol=1e-13)
    with pytest.raises(InvalidData, match=r"'level' .* is in decibel, whose reference is not stated"):
        _points(data, unit="V")


def _complex(region: str, values: str) -> str:
    return table(
        column("f", "1 2", r"\hertz"),
        f"<dcc:quantity>{name('H')}<si:complexListXMLList>{values}"
        f"<si:measurementUncertaintyBivariateXMLList><si:ellipsoidalRegionMUXMLList>{region}"
        "<si:coverageFactorXMLList>2.45</si:coverageFactorXMLList>"
        "<si:coverageProbabilityXMLList>0.95</si:coverageProbabilityXMLList>"
        "</si:ellipsoidalRegionMUXMLList></si:measurementUncertaintyBivariateXMLList>"
        "</si:complexListXMLList></dcc:quantity>",
    )


def _matrix(entries: list[list[str]], units: list[list[str]]) -> str:
    columns = "".join(
        "<si:columnXMLList>"
        + "".join(
            f"<si:covarianceXMLList><si:valueXMLList>{value}</si:valueXMLList><si:unitXMLList>{unit}</si:unitXMLList>"
            "</si:covarianceXMLList>"
            for value, unit in zip(*pair, strict=True)
        )
        + "</si:columnXMLList>"
        for pair in zip(entries, units, strict=True)
    )
    return f"<si:covarianceMatrixXMLList>{columns}</si:covarianceMatrixXMLList>"


def test_complex_values_with_covariance_in_other_units() -> None:
    region = _matrix(
        [["4e-6 9e-6", "-1e-6"], ["-1e-6", "4e-6"]],
        [[r"\milli\volt\tothe{2}", r"\milli\volt\milli\volt"], [r"\milli\volt\tothe{2}"] * 2],
    )
    values = (
        "<si:valueRealXMLList>3 1</si:valueRealXMLList><si:valueImagXMLList>-4 0</si:valueImagXMLList>"
        r"<si:unitXMLList>\volt</si:unitXMLList>"
    )
    points = _points(_complex(region, values), unit="mV", phase_sign=PhaseSign.LAG_POSITIVE)
    np.testing.assert_allclose(points.response, [3000 + 4000j, 1000], rtol=1e-14)
    np.testing.assert_allclose(points.cov[:, 0, 0], [4e-6, 9e-6], rtol=1e-14)
    np.testing.assert_allclose(points.cov[:, 0, 1], 1e-6, rtol=1e-14)


def test_complex_values_by_magnitude_and_phase_in_degrees() -> None:
    u = [["1e-4", "0"], ["0", "1"]]
    units = [[r"\volt\tothe{2}", r"\volt\degree"], [r"\volt\degree", r"\degree\tothe{2}"]]
    values = (
        "<si:valueMagnitudeXMLList>2 4</si:valueMagnitudeXMLList><si:valuePhaseXMLList>-90 -180</si:valuePhaseXMLList>"
        r"<si:unitXMLList>\volt</si:unitXMLList><si:unitPhaseXMLList>\degree</si:unitPhaseXMLList>"
    )
    points = _points(_complex(_matrix(u, units), values))
    np.testing.assert_allclose(points.response, [-2j, -4], atol=1e-15)
    np.testing.assert_allclose(np.sqrt(points.cov[:, 0, 0]), [0.005, 0.0025], rtol=1e-13)
    np.testing.assert_allclose(np.sqrt(points.cov[:, 1, 1]), np.deg2rad(1), rtol=1e-13)


def test_errors_of_a_thermometer_are_differences() -> None:
    read = read_certificate(certificate(THERMOMETER))
    error = stated(read, "basic_measurementError_error", "K")
    np.testing.assert_allclose(error.values, [0.01, 0.01, 0.05])
    np.testing.assert_allclose(error.u, [0.01, 0.015, 0.02])
    assert error.largest_u == pytest.approx(0.02)
    reference = stated(read, "reference", "Cel")
    np.testing.assert_allclose(reference.values, [0.01, 50, 100], atol=1e-12)
    np.testing.assert_allclose(reference.u, 0.005)


def _leaf(*parts: tuple[str, str]) -> str:
    return "".join(f"<si:{tag}>{text}</si:{tag}>" for tag, text in parts)


_P = ("coverageProbability", "0.95")
_ENDS = (("intervalMin", "1"), ("intervalMax", "2"))
_WAYS = {
    "expandedUnc": (_leaf(("uncertainty", "0.4"), ("coverageFactor", "2"), _P), 0.2),
    "coverageInterval": (_leaf(("standardUnc", "0.3"), *_ENDS, _P), 0.3),
    "standardMU": (_leaf(("valueStandardMU", "0.7")), 0.7),
    "expandedMU": (_leaf(("valueExpandedMU", "0.3"), ("coverageFactor", "3.0"), _P), 0.1),
    "coverageIntervalMU": (_leaf(("valueStandardMU", "0.9"), *_ENDS, _P), 0.9),
}


@pytest.mark.parametrize("way", _WAYS)
def test_every_way_to_state_an_uncertainty(way: str) -> None:
    content, u = _WAYS[way]
    inner = f"<si:{way}>{content}</si:{way}>"
    holder = "si:measurementUncertaintyUnivariate"
    uncertainty = f"<{holder}>{inner}</{holder}>" if way.endswith("MU") else inner
    read = read_certificate(certificate(single("gain", "1.5", r"\volt", uncertainty)))
    gain = stated(read, "gain", "mV")
    assert gain.values[0] == 1500
    assert gain.u[0] == pytest.approx(1000 * u, rel=1e-14)


def test_single_numbers_as_parameters() -> None:
    mu = (
        "<si:measurementUncertaintyUnivariate><si:standardMU><si:valueStandardMU>{}</si:valueStandardMU></si:standardMU>"
        "</si:measurementUncertaintyUnivariate>"
    )
    data = (
        single("S_0", "0.13", r"\volt\metre\tothe{-1}\second\tothe{2}", mu.format("0.001"))
        + single("delta", "0.02", r"\one", mu.format("0.002"))
        + single("f_0", "31.5", r"\kilo\hertz", mu.format("0.1"))
    )
    read = read_certificate(certificate(data))
    labels = {"S_0": "gain", "delta": "damping", "f_0": "f0_hz"}
    p = parameter_vector(read, ModelKind.SECOND_ORDER, labels, gain_unit="mV/(m/s2)")
    np.testing.assert_allclose(p.values, [130, 0.02, 31500], rtol=1e-14)
    np.testing.assert_allclose(p.cov, np.diag([1.0, 4e-6, 1e4]), rtol=1e-13)
    with pytest.raises(InvalidData, match="no parameter zeta"):
        parameter_vector(read, ModelKind.SECOND_ORDER, {**labels, "zeta": "damping"})
    with pytest.raises(InvalidData, match=r"parameter 'damping' .*cannot be converted"):
        parameter_vector(read, ModelKind.SECOND_ORDER, {"S_0": "gain", "f_0": "damping", "delta": "f0_hz"})


def test_real_list_hybrid_constant_and_what_is_not_read() -> None:
    data = (
        f"<dcc:quantity>{name('old')}<si:hybrid><si:real><si:value>1</si:value><si:unit>|fathom</si:unit></si:real>"
        r"<si:real><si:value>1.8288</si:value><si:unit>\metre</si:unit></si:real></si:hybrid></dcc:quantity>"
        f"<dcc:quantity>{name('c')}<si:constant><si:value>299792458</si:value>"
        r"<si:unit>\metre\second\tothe{-1}</si:unit></si:constant></dcc:quantity>"
        f"<dcc:quantity>{name('listed')}<si:list><si:realList/></si:list></dcc:quantity>"
        f"<dcc:quantity>{name('words')}<dcc:charsXMLList>a b</dcc:charsXMLList></dcc:quantity>"
        f"<dcc:quantity>{name('plain')}<dcc:noQuantity><dcc:content>none</dcc:content></dcc:noQuantity></dcc:quantity>"
    )
    quantities = next(tables(read_certificate(certificate(data)))).quantities
    assert [str(q.unit()) for q in quantities if isinstance(q, Quantity)] == [r"\metre", r"\metre\second\tothe{-1}"]
    assert [q.text for q in quantities if not isinstance(q, Quantity) and hasattr(q, "text")] == [
        "si:list, which this program does not read",
        "a b",
        "none",
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (THERMOMETER, "states no frequency response"),
        (ACCELEROMETER + ACCELEROMETER.replace("magnitude and phase", "again"), "2 frequency responses; select"),
        (ACCELEROMETER.replace(expanded("0.5"), ""), "'phase lag' .*: no uncertainty is stated"),
        (ACCELEROMETER.replace(expanded("0.5"), expanded("0")), "u of phase at 10.0 Hz is not positive"),
        (ACCELEROMETER.replace(r"\degree", r"\one"), "states no frequency response"),
        (ACCELEROMETER.replace("0.1282", "NaN"), "'charge sensitivity' .*: value 1 is nan"),
        (ACCELEROMETER.replace("10 100 1000", "10 100 NaN"), "'frequency' .*: value 2 is nan"),
        (ACCELEROMETER.replace("10 100 1000", "10 100 100"), "frequency 100.0 Hz is there 2 times"),
        (ACCELEROMETER.replace("0.1280 0", "-0.1280 0"), "magnitude at 10.0 Hz is not positive"),
        (ACCELEROMETER.replace(r"\pico\coulomb", r"\picocoulomb"), "0 magnitudes; select one by magnitude: none"),
    ],
)
def test_what_cannot_be_points(data: str, message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        _points(data)


def test_two_columns_that_fit_are_told_apart_by_name() -> None:
    voltage = column("voltage sensitivity", "1 2 3", r"\volt\metre\tothe{-1}\second\tothe{2}", expanded("0.1"))
    data = ACCELEROMETER.replace("</dcc:list>", f"{voltage}</dcc:list>")
    with pytest.raises(InvalidData, match=r"2 magnitudes; select one by magnitude: 'charge sens.*', 'voltage sens"):
        _points(data)
    points = _points(data, select=Selection(magnitude="voltage sensitivity"), unit="mV/(m/s2)")
    np.testing.assert_allclose(np.abs(points.response), [1000, 2000, 3000])


def test_another_unit_than_the_one_stated_is_named() -> None:
    with pytest.raises(InvalidData, match=r"'charge sensitivity' .* cannot be converted to"):
        _points(ACCELEROMETER, unit="mV/(m/s2)")
    with pytest.raises(InvalidData, match="0 quantities are 'gain', not one"):
        stated(read_certificate(certificate(THERMOMETER)), "gain", "1")
    with pytest.raises(InvalidData, match=r"'reference' .*cannot be converted to \\pascal"):
        stated(read_certificate(certificate(THERMOMETER)), "reference", "Pa")


def test_a_list_without_name_has_that_of_its_result_and_old_instants_are_only_words() -> None:
    data = ACCELEROMETER.replace(name("magnitude and phase"), "<dcc:dateTime>1957-08-13T13:00:00</dcc:dateTime>")
    read = read_certificate(certificate(data))
    entries = next(tables(read))
    assert (entries.name, entries.instants) == ("table", ("1957-08-13T13:00:00",))
    assert len(frequency_points(read, select=Selection(table="table"))) == 3


def test_places_have_names_and_lines() -> None:
    from lxml import etree

    root = etree.fromstring(certificate(ACCELEROMETER))
    last = list(root.iter("{https://ptb.de/si}unitXMLList"))[-1]
    assert place(last).startswith(
        "measurementResults/measurementResult/results/result/data/list/quantity[3]/realListXMLList/unitXMLList (line "
    )


def test_points_of_a_certificate_give_the_sensor() -> None:
    from dyncal.identification.frequency_response import fit_frequency_response
    from dyncal.models import model_of

    theta, model = np.array([0.13, 0.02, 31_000.0]), model_of(ModelKind.SECOND_ORDER)
    f = np.geomspace(10, 20_000, 17)
    response = model.frequency_response(theta, f)
    data = table(
        column("frequency", " ".join(map(repr, f.tolist())), r"\hertz"),
        column("sensitivity", " ".join(map(repr, np.abs(response).tolist())), r"\volt", expanded("2e-5")),
        column("lag", " ".join(map(repr, (-np.angle(response, deg=True)).tolist())), r"\degree", expanded("0.01")),
    )
    points = _points(data, unit="mV", phase_sign=PhaseSign.LAG_POSITIVE)
    fitted = fit_frequency_response(points, [model]).parameters
    assert fitted is not None
    np.testing.assert_allclose(fitted.values, [130, 0.02, 31_000], rtol=1e-6)
