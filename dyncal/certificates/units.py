r"""Units in the spelling of D-SI (``\metre\second\tothe{-2}``), read, written, multiplied and converted.

Digital System of Units: D-SI 2.2.1, after the SI brochure (BIPM, 9th edition), tables 2, 4, 5, 7 and 8. What is not
listed here is refused by name: a unit that is guessed is a wrong number later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

PREFIXES: Final = {
    name: Fraction(10) ** power
    for name, power in (
        *(("quecto", -30), ("ronto", -27), ("yocto", -24), ("zepto", -21), ("atto", -18), ("femto", -15)),
        *(("pico", -12), ("nano", -9), ("micro", -6), ("milli", -3), ("centi", -2), ("deci", -1), ("", 0)),
        *(("deca", 1), ("hecto", 2), ("kilo", 3), ("mega", 6), ("giga", 9), ("tera", 12), ("peta", 15)),
        *(("exa", 18), ("zetta", 21), ("yotta", 24), ("ronna", 27), ("quetta", 30)),
    )
}

_BASE: Final = ("metre", "kilogram", "second", "ampere", "kelvin", "mole", "candela", "radian", "decibel")
_PI: Final = Fraction(np.pi)

# unit: (factor, powers of _BASE); plane angle and level are kept apart from the number one
_UNITS: Final[dict[str, tuple[Fraction, dict[str, int]]]] = {
    "one": (Fraction(1), {}),
    "percent": (Fraction(1, 100), {}),
    "ppm": (Fraction(1, 10**6), {}),
    **{name: (Fraction(1), {name: 1}) for name in _BASE},
    "gram": (Fraction(1, 1000), {"kilogram": 1}),
    "tonne": (Fraction(1000), {"kilogram": 1}),
    "degreecelsius": (Fraction(1), {"kelvin": 1}),
    "minute": (Fraction(60), {"second": 1}),
    "hour": (Fraction(3600), {"second": 1}),
    "day": (Fraction(86400), {"second": 1}),
    "hertz": (Fraction(1), {"second": -1}),
    "becquerel": (Fraction(1), {"second": -1}),
    "degree": (_PI / 180, {"radian": 1}),
    "arcminute": (_PI / 10800, {"radian": 1}),
    "arcsecond": (_PI / 648000, {"radian": 1}),
    "steradian": (Fraction(1), {"radian": 2}),
    "bel": (Fraction(10), {"decibel": 1}),
    "litre": (Fraction(1, 1000), {"metre": 3}),
    "hectare": (Fraction(10000), {"metre": 2}),
    "newton": (Fraction(1), {"kilogram": 1, "metre": 1, "second": -2}),
    "pascal": (Fraction(1), {"kilogram": 1, "metre": -1, "second": -2}),
    "bar": (Fraction(10**5), {"kilogram": 1, "metre": -1, "second": -2}),
    "mmHg": (Fraction("133.322387415"), {"kilogram": 1, "metre": -1, "second": -2}),
    "joule": (Fraction(1), {"kilogram": 1, "metre": 2, "second": -2}),
    "electronvolt": (Fraction("1.602176634e-19"), {"kilogram": 1, "metre": 2, "second": -2}),
    "watt": (Fraction(1), {"kilogram": 1, "metre": 2, "second": -3}),
    "coulomb": (Fraction(1), {"ampere": 1, "second": 1}),
    "volt": (Fraction(1), {"kilogram": 1, "metre": 2, "second": -3, "ampere": -1}),
    "farad": (Fraction(1), {"kilogram": -1, "metre": -2, "second": 4, "ampere": 2}),
    "ohm": (Fraction(1), {"kilogram": 1, "metre": 2, "second": -3, "ampere": -2}),
    "siemens": (Fraction(1), {"kilogram": -1, "metre": -2, "second": 3, "ampere": 2}),
    "weber": (Fraction(1), {"kilogram": 1, "metre": 2, "second": -2, "ampere": -1}),
    "tesla": (Fraction(1), {"kilogram": 1, "second": -2, "ampere": -1}),
    "henry": (Fraction(1), {"kilogram": 1, "metre": 2, "second": -2, "ampere": -2}),
    "lumen": (Fraction(1), {"candela": 1, "radian": 2}),
    "lux": (Fraction(1), {"candela": 1, "radian": 2, "metre": -2}),
    "gray": (Fraction(1), {"metre": 2, "second": -2}),
    "sievert": (Fraction(1), {"metre": 2, "second": -2}),
    "katal": (Fraction(1), {"mole": 1, "second": -1}),
}
_WITHOUT_PREFIX: Final = frozenset(
    {"one", "percent", "ppm", "kilogram", "degreecelsius", "minute", "hour", "day", "hectare", "mmHg", "decibel"}
)
_CELSIUS_AT_ZERO: Final = 273.15
_TOKEN: Final = re.compile(r"\\([A-Za-z]+)(?:\{([^{}\\]*)\})?")
_EXPONENT: Final = re.compile(r"[+-]?\d{1,3}(\.\d{1,4})?(/\d{1,4})?", re.ASCII)
_LONGEST: Final = 200

Term = tuple[str, str, Fraction]
"""Prefix, unit and exponent."""


@dataclass(frozen=True)
class Unit:
    """A product of prefixed units with exponents; each unit with its prefix occurs once, in the order written.

    Two units are equal when they are written alike; see `compatible` for those that can be converted.
    """

    terms: tuple[Term, ...]

    @cached_property
    def dimension(self) -> tuple[tuple[str, Fraction], ...]:
        """Powers of the base units, those that are not 0, in the order of the brochure."""
        powers = dict.fromkeys(_BASE, Fraction(0))
        for _, name, exponent in self.terms:
            for base, power in _UNITS[name][1].items():
                powers[base] += power * exponent
        return tuple((base, power) for base, power in powers.items() if power)

    @cached_property
    def factor(self) -> float:
        """How many coherent units (metre, kilogram, second, …) one of this unit is; differences of °C are kelvin."""
        exact, rest = Fraction(1), 1.0
        for prefix, name, exponent in self.terms:
            scale = PREFIXES[prefix] * _UNITS[name][0]
            if exponent.denominator == 1:
                exact *= scale**exponent.numerator
            else:
                rest *= float(scale) ** float(exponent)
        return float(exact) * rest

    @property
    def is_celsius(self) -> bool:
        """True for temperatures in °C, the one unit whose zero is not zero."""
        return self.terms == (("", "degreecelsius", Fraction(1)),)

    @property
    def difference(self) -> Unit:
        """The unit of differences: kelvin for °C, otherwise itself."""
        return KELVIN if self.is_celsius else self

    def compatible(self, other: Unit) -> bool:
        """Tell whether values can be converted from one to the other."""
        return self.dimension == other.dimension

    def __mul__(self, other: Unit) -> Unit:
        powers: dict[tuple[str, str], Fraction] = {}
        for prefix, name, exponent in (*self.difference.terms, *other.difference.terms):
            powers[prefix, name] = powers.get((prefix, name), Fraction(0)) + exponent
        powers.pop(("", "one"), None)
        return Unit(tuple((*key, power) for key, power in powers.items() if power)) or ONE

    def __truediv__(self, other: Unit) -> Unit:
        return self * other**-1

    def __pow__(self, exponent: int) -> Unit:
        return Unit(tuple((prefix, name, power * exponent) for prefix, name, power in self.difference.terms))

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __str__(self) -> str:
        return "".join(_spell(*term) for term in self.terms) or r"\one"


def _spell(prefix: str, name: str, exponent: Fraction) -> str:
    power = "" if exponent == 1 else rf"\tothe{{{float(exponent):.10g}}}"
    return (rf"\{prefix}" if prefix else "") + rf"\{name}{power}"


def parse_dsi(text: str) -> Unit:
    r"""Return the unit of a D-SI text such as ``\milli\volt\metre\tothe{-1}\second\tothe{2}``.

    One ``\per`` is read as older certificates write it: all that follows it is in the denominator.

    Raises
    ------
    InvalidData
        Naming the unit or what of it is not known.
    """
    if len(text) > _LONGEST:
        raise InvalidData(f"a unit of {len(text)} characters: {text[:40]!r}…")
    numerator, per, denominator = re.sub(r"\\per(?![a-z])", "\n", text, count=1).partition("\n")
    if not text.startswith("\\"):
        raise InvalidData(f"unit {text!r} is not written as D-SI writes units, such as \\metre\\second\\tothe{{-1}}")
    unit = _product(text, numerator) if numerator else ONE
    return unit / _product(text, denominator) if per else unit


def _product(text: str, part: str) -> Unit:
    terms: list[Term] = []
    prefix, end = "", 0
    for token in _TOKEN.finditer(part):
        name, argument = token[1], token[2]
        if token.start() != end:
            break
        end = token.end()
        if name == "tothe":
            if not terms or prefix or terms[-1][2] != 1:
                raise InvalidData(f"unit {text!r}: an exponent follows a unit")
            terms[-1] = (*terms[-1][:2], _exponent(text, argument))
        elif argument is not None:
            raise InvalidData(f"unit {text!r}: \\{name} takes nothing in braces")
        elif name in _UNITS:
            if prefix and name in _WITHOUT_PREFIX:
                raise InvalidData(f"unit {text!r}: \\{name} takes no prefix")
            terms.append((prefix, name, Fraction(1)))
            prefix = ""
        elif name in PREFIXES and not prefix:
            prefix = name
        else:
            raise InvalidData(f"unit {text!r}: \\{name} is not a unit of D-SI that dyncal knows")
    if end != len(part) or prefix or not terms:
        raise InvalidData(f"unit {text!r} cannot be read at {part[end:] or part!r}")
    return Unit(tuple(terms)) if len(terms) == 1 else ONE * Unit(tuple(terms))


def _exponent(text: str, argument: str | None) -> Fraction:
    if argument is None or not _EXPONENT.fullmatch(argument):
        raise InvalidData(f"unit {text!r}: {argument!r} is no exponent")
    try:
        exponent = Fraction(argument)
    except (ValueError, ZeroDivisionError) as error:
        raise InvalidData(f"unit {text!r}: {argument!r} is no exponent") from error
    if not 0 < abs(exponent) <= 12:
        raise InvalidData(f"unit {text!r}: an exponent of {argument}")
    return exponent


def scale(source: Unit, target: Unit) -> float:
    """Return the number of `target` in one `source`, for differences and uncertainties.

    Raises
    ------
    InvalidData
        If they are not of one kind.
    """
    if not source.compatible(target):
        raise InvalidData(f"{source} cannot be converted to {target}")
    return 1.0 if source.difference == target.difference else source.factor / target.factor


def convert(values: FloatArray, source: Unit, target: Unit) -> FloatArray:
    """Return values, of any shape, in another unit; °C and K with their offset. Raises as `scale`."""
    factor = scale(source, target)
    if source.is_celsius == target.is_celsius:
        return values if factor == 1 else values * factor
    if source.is_celsius:
        return (values + _CELSIUS_AT_ZERO) * factor
    return values * factor - _CELSIUS_AT_ZERO


ONE: Final = Unit((("", "one", Fraction(1)),))
KELVIN: Final = Unit((("", "kelvin", Fraction(1)),))
SECOND: Final = Unit((("", "second", Fraction(1)),))
HERTZ: Final = Unit((("", "hertz", Fraction(1)),))
RADIAN: Final = Unit((("", "radian", Fraction(1)),))
DECIBEL: Final = Unit((("", "decibel", Fraction(1)),))
