"""Units as sensors declare them, in UCUM (Unified Code for Units of Measure, case sensitive), in the terms of D-SI."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from dyncal.certificates.units import ONE, Unit, parse_dsi
from dyncal.domain.errors import InvalidData

_ATOMS: Final = {
    "m": "metre",
    "g": "gram",
    "s": "second",
    "A": "ampere",
    "K": "kelvin",
    "mol": "mole",
    "cd": "candela",
    "rad": "radian",
    "sr": "steradian",
    "deg": "degree",
    "Hz": "hertz",
    "N": "newton",
    "Pa": "pascal",
    "bar": "bar",
    "J": "joule",
    "W": "watt",
    "C": "coulomb",
    "V": "volt",
    "F": "farad",
    "Ohm": "ohm",
    "S": "siemens",
    "Wb": "weber",
    "T": "tesla",
    "H": "henry",
    "lm": "lumen",
    "lx": "lux",
    "Cel": "degreecelsius",
    "L": "litre",
    "l": "litre",
    "t": "tonne",
    "min": "minute",
    "h": "hour",
    "d": "day",
    "%": "percent",
    "[ppm]": "ppm",
    "mm[Hg]": "mmHg",
    "dB": "decibel",
}
_PREFIXES: Final = {
    "y": "yocto",
    "z": "zepto",
    "a": "atto",
    "f": "femto",
    "p": "pico",
    "n": "nano",
    "u": "micro",
    "m": "milli",
    "c": "centi",
    "d": "deci",
    "da": "deca",
    "h": "hecto",
    "k": "kilo",
    "M": "mega",
    "G": "giga",
    "T": "tera",
}
_NOT_METRIC: Final = frozenset({"mm[Hg]", "deg", "Cel", "min", "h", "d", "%", "[ppm]", "dB"})
_SPELLINGS: Final = {"": "1", "°C": "Cel", "degC": "Cel", "°": "deg", "Ω": "Ohm"}
_POWERS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻·", "0123456789-.")
_TOKEN: Final = re.compile(r"[()./]|[^()./]+")
_COMPONENT: Final = re.compile(r"(?P<unit>[^\W\d_]+\[Hg\]|\[?[^\W\d_]+\]?|%)(?P<power>[+-]?\d{1,2})?", re.ASCII)
_LONGEST: Final = 100


def parse_unit(text: str) -> Unit:
    """Return the unit of a sensor's declaration: D-SI where it begins with a backslash, UCUM otherwise.

    Of what people write besides UCUM, ``°C``, ``Ω``, ``^`` before a power, superscripts and ``·`` are understood.

    Raises
    ------
    InvalidData
        Naming what has no spelling in D-SI.
    """
    stripped = text.strip()
    if stripped.startswith("\\"):
        return parse_dsi(stripped)
    if len(stripped) > _LONGEST:
        raise InvalidData(f"a unit of {len(stripped)} characters: {stripped[:40]!r}…")
    written = _SPELLINGS.get(stripped, stripped).translate(_POWERS).replace("^", "").replace("*", ".")
    tokens = _TOKEN.findall(written)
    try:
        unit = _term(tokens, 0)
    except InvalidData as error:
        raise InvalidData(f"unit {text!r}: {error}") from error
    if tokens:
        raise InvalidData(f"unit {text!r} cannot be read at {tokens[0]!r}")
    return unit


def _term(tokens: list[str], depth: int) -> Unit:
    """Take a term from the front of `tokens`: components with ``.`` or ``/`` between, from left to right."""
    unit: Unit | None = None
    if tokens and tokens[0] == "/":
        unit = ONE
    while True:
        divide = unit is not None and tokens.pop(0) == "/"
        part = _component(tokens, depth)
        unit = part if unit is None else unit / part if divide else unit * part
        if not tokens or tokens[0] not in "./":
            return unit


def _component(tokens: list[str], depth: int) -> Unit:
    if not tokens:
        raise InvalidData("it ends where a unit must follow")
    token = tokens.pop(0)
    if token == "(" and depth < 8:  # noqa: S105  a bracket
        unit = _term(tokens, depth + 1)
        if not tokens or tokens.pop(0) != ")":
            raise InvalidData("a bracket is not closed")
        return unit
    return _simple(_SPELLINGS.get(token, token))


def _simple(token: str) -> Unit:
    if token == "1":  # noqa: S105  the number
        return ONE
    found = _COMPONENT.fullmatch(token)
    if found is None:
        raise InvalidData(f"{token!r} is neither UCUM nor D-SI")
    unit, power = _atom(found["unit"]), int(found["power"] or "1")
    if power == 0:
        raise InvalidData("a power of 0")
    return unit if power == 1 else unit**power


def _atom(symbol: str) -> Unit:
    if symbol == "[g]":
        raise InvalidData("D-SI has no standard gravity; state m/s2 (1 [g] is 9.80665 m/s2)")
    if symbol == "kg":
        return Unit((("", "kilogram", Fraction(1)),))
    if symbol in _ATOMS:
        return Unit((("", _ATOMS[symbol], Fraction(1)),))
    for length in (2, 1):
        prefix, atom = symbol[:length], symbol[length:]
        if prefix in _PREFIXES and atom in _ATOMS and atom not in _NOT_METRIC:
            return Unit(((_PREFIXES[prefix], _ATOMS[atom], Fraction(1)),))
    raise InvalidData(f"{symbol!r} has no spelling in D-SI that dyncal knows")
