"""Units of D-SI and UCUM: read, written, multiplied, converted, and refused."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.certificates.ucum import parse_unit
from dyncal.certificates.units import KELVIN, ONE, convert, parse_dsi, scale
from dyncal.domain.errors import InvalidData


@pytest.mark.parametrize(
    ("ucum", "dsi"),
    [
        ("Cel", r"\degreecelsius"),
        ("°C", r"\degreecelsius"),
        ("K", r"\kelvin"),
        ("Pa", r"\pascal"),
        ("kPa", r"\kilo\pascal"),
        ("mbar", r"\milli\bar"),
        ("m/s2", r"\metre\second\tothe{-2}"),
        ("m.s-2", r"\metre\second\tothe{-2}"),
        ("m/s^2", r"\metre\second\tothe{-2}"),
        ("m·s⁻²", r"\metre\second\tothe{-2}"),
        ("g", r"\gram"),
        ("kg", r"\kilogram"),
        ("V", r"\volt"),
        ("mV/(m/s2)", r"\milli\volt\metre\tothe{-1}\second\tothe{2}"),
        ("mV/V", r"\milli\volt\volt\tothe{-1}"),
        ("mV/Cel", r"\milli\volt\kelvin\tothe{-1}"),
        ("pC/N", r"\pico\coulomb\newton\tothe{-1}"),
        ("1/min", r"\minute\tothe{-1}"),
        ("/s", r"\second\tothe{-1}"),
        ("mm[Hg]", r"\mmHg"),
        ("dam", r"\deca\metre"),
        ("min", r"\minute"),
        ("1", r"\one"),
        ("", r"\one"),
        ("%", r"\percent"),
        ("[ppm]", r"\ppm"),
        (r"\milli\volt", r"\milli\volt"),
    ],
)
def test_declared_units_in_d_si(ucum: str, dsi: str) -> None:
    assert str(parse_unit(ucum)) == dsi
    assert parse_dsi(dsi) == parse_unit(ucum)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[g]", "D-SI has no standard gravity; state m/s2"),
        ("furlong", "'furlong' has no spelling in D-SI"),
        ("kkg", "'kkg' has no spelling"),
        ("kCel", "'kCel' has no spelling"),
        ("degF", "'degF' has no spelling"),
        ("m/", "ends where a unit must follow"),
        ("(m", "a bracket is not closed"),
        ("m)", "cannot be read at"),
        ("m//s", "neither UCUM nor D-SI"),
        ("m0", "a power of 0"),
        ("2", "neither UCUM nor D-SI"),
        ("m٢", "neither UCUM nor D-SI"),
        ("(" * 60, "neither UCUM nor D-SI"),
        ("m" * 101, "a unit of 101 characters"),
        ("m\x00", "neither UCUM nor D-SI"),
    ],
)
def test_what_has_no_unit_is_named(text: str, message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        parse_unit(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metre", "not written as D-SI writes units"),
        (r"\metr", "not a unit of D-SI"),
        (r"\kilo", "cannot be read"),
        (r"\kilo\kilo\metre", "not a unit of D-SI"),
        (r"\kilo\kilogram", "takes no prefix"),
        (r"\milli\degreecelsius", "takes no prefix"),
        (r"\metre\tothe{x}", "'x' is no exponent"),
        (r"\metre\tothe{1/0}", "is no exponent"),
        (r"\metre\tothe{99}", "an exponent of 99"),
        (r"\metre\tothe{0}", "an exponent of 0"),
        (r"\tothe{2}", "an exponent follows a unit"),
        (r"\metre\tothe", "None is no exponent"),
        (r"\metre\tothe{2}\tothe{2}", "an exponent follows a unit"),
        (r"\metre{2}", "takes nothing in braces"),
        (r"\metre second", "cannot be read at"),
        (r"\metre\per", "cannot be read"),
        (r"\metre\per\second\per\second", "not a unit of D-SI"),
        ("\\metre" * 100, "a unit of 600 characters"),
    ],
)
def test_what_d_si_does_not_write_is_named(text: str, message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        parse_dsi(text)


def test_per_takes_all_that_follows_into_the_denominator() -> None:
    assert parse_dsi(r"\volt\per\metre\second\tothe{-2}") == parse_dsi(r"\volt\metre\tothe{-1}\second\tothe{2}")
    assert parse_dsi(r"\per\second") == parse_dsi(r"\second\tothe{-1}")
    assert parse_dsi(r"\percent").factor == 0.01


@pytest.mark.parametrize(
    ("source", "target", "factor"),
    [
        (r"\kilo\pascal", r"\bar", 0.01),
        (r"\degree", r"\radian", np.pi / 180),
        (r"\minute\tothe{-1}", r"\hertz", 1 / 60),
        (r"\milli\volt\metre\tothe{-1}\second\tothe{2}", r"\volt\metre\tothe{-1}\second\tothe{2}", 1e-3),
        (r"\newton\metre", r"\joule", 1.0),
        (r"\percent", r"\one", 0.01),
        (r"\degreecelsius", r"\kelvin", 1.0),
        (r"\gram", r"\kilogram", 1e-3),
        (r"\litre", r"\metre\tothe{3}", 1e-3),
        (r"\bel", r"\decibel", 10.0),
        (r"\pascal\tothe{0.5}", r"\kilogram\tothe{0.5}\metre\tothe{-0.5}\second\tothe{-1}", 1.0),
        (r"\micro\metre\tothe{2}", r"\metre\tothe{2}", 1e-12),
    ],
)
def test_scales(source: str, target: str, factor: float) -> None:
    assert scale(parse_dsi(source), parse_dsi(target)) == pytest.approx(factor, rel=1e-15)


@pytest.mark.parametrize(
    ("source", "target"),
    [(r"\volt", r"\ampere"), (r"\radian", r"\one"), (r"\decibel", r"\one"), (r"\hertz", r"\radian\second\tothe{-1}")],
)
def test_what_is_not_of_a_kind_is_not_converted(source: str, target: str) -> None:
    with pytest.raises(InvalidData, match="cannot be converted"):
        scale(parse_dsi(source), parse_dsi(target))


def test_temperatures_convert_with_their_zero_and_differences_without() -> None:
    celsius = parse_dsi(r"\degreecelsius")
    np.testing.assert_allclose(convert(np.array([0.0, 100.0]), celsius, KELVIN), [273.15, 373.15])
    np.testing.assert_allclose(convert(np.array([273.15]), KELVIN, celsius), [0.0], atol=1e-12)
    np.testing.assert_allclose(convert(np.array([300e3]), parse_dsi(r"\milli\kelvin"), celsius), [26.85])
    np.testing.assert_allclose(convert(np.array([20.0]), celsius, celsius), [20.0])
    assert celsius.difference == KELVIN
    assert str(celsius / celsius) == r"\one"


def test_products_collect_powers() -> None:
    volt, metre = parse_dsi(r"\milli\volt"), parse_dsi(r"\metre")
    assert str(volt * metre / volt) == r"\metre"
    assert str((volt / metre) ** -2) == r"\milli\volt\tothe{-2}\metre\tothe{2}"
    assert str(ONE * ONE) == r"\one"
    assert str(ONE / metre) == r"\metre\tothe{-1}"
