"""Units of what is in the data sets, in the spelling of D-SI, and quantities in its terms.

(Digital System of Units: D-SI 2.2.1; here its element `si:real` as a JSON object of the same names.)
"""

from __future__ import annotations

from typing import Any, Final

from dyncal.certificates.ucum import parse_unit

_SUFFIXES: Final = {"_s": r"\second", "_hz": r"\hertz", "_ns": r"\nano\second"}
K: Final = 2.0
"""Coverage factor of what is stated: about 95 % of a normal distribution."""


def parameter_unit(name: str) -> str:
    """Return the unit of a parameter, by its name; the gain is a number, for sensor and measurand share a unit."""
    return next((unit for suffix, unit in _SUFFIXES.items() if name.endswith(suffix)), r"\one")


def to_dsi(ucum: str) -> str:
    """Return a unit of UCUM as D-SI spells it."""
    return str(parse_unit(ucum))


def difference_unit(ucum: str) -> str:
    """Return the unit of differences of what is measured in `ucum`: kelvin of degrees Celsius."""
    return str(parse_unit(ucum).difference)


def real(label: str, value: float, unit: str, u: float | None = None) -> dict[str, Any]:
    """Return a quantity, with its expanded uncertainty where `u`, a standard uncertainty, is given."""
    made: dict[str, Any] = {"label": label, "value": value, "unit": unit}
    if u is not None:
        expanded = {"valueExpandedMU": K * u, "coverageFactor": K, "coverageProbability": 0.95}
        made["measurementUncertaintyUnivariate"] = {"expandedMU": {**expanded, "distribution": "normal"}}
    return made
