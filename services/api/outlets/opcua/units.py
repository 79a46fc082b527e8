"""Units as OPC UA has them: codes of UN/CEFACT where there is one (OPC 10000-8, 5.6.3), else as declared."""

from __future__ import annotations

from typing import Any, Final

from asyncua import ua

CEFACT: Final = "http://www.opcfoundation.org/UA/units/un/cefact"
UCUM: Final = "http://unitsofmeasure.org"

# UCUM: common code of UNECE Recommendation 20, and what is shown.
_CODES: Final = {
    "Cel": ("CEL", "°C"),
    "K": ("KEL", "K"),
    "[degF]": ("FAH", "°F"),
    "Pa": ("PAL", "Pa"),
    "hPa": ("A97", "hPa"),
    "kPa": ("KPA", "kPa"),
    "MPa": ("MPA", "MPa"),
    "bar": ("BAR", "bar"),
    "mbar": ("MBR", "mbar"),
    "m/s2": ("MSK", "m/s²"),
    "m/s": ("MTS", "m/s"),
    "m": ("MTR", "m"),
    "mm": ("MMT", "mm"),
    "um": ("4H", "µm"),
    "kg": ("KGM", "kg"),
    "N": ("NEW", "N"),
    "kN": ("B47", "kN"),
    "N.m": ("NU", "N·m"),
    "V": ("VLT", "V"),
    "mV": ("2Z", "mV"),
    "A": ("AMP", "A"),
    "mA": ("4K", "mA"),
    "Hz": ("HTZ", "Hz"),
    "s": ("SEC", "s"),
    "%": ("P1", "%"),
    "1": ("C62", "1"),
    "m3/h": ("MQH", "m³/h"),
    "l/min": ("L2", "l/min"),
    "kg/s": ("KGS", "kg/s"),
    "kg/h": ("E93", "kg/h"),
}


def engineering_units(unit: str) -> Any:
    """Return the `EUInformation` of a unit in UCUM; its id is the common code, read as a number, or -1."""
    code, shown = _CODES.get(unit, ("", unit))
    return ua.EUInformation(
        NamespaceUri=CEFACT if code else UCUM,
        UnitId=int.from_bytes(code.encode("ascii")) if code else -1,
        DisplayName=ua.LocalizedText(shown),
        Description=ua.LocalizedText(unit),
    )


def of_difference(unit: str) -> str:
    """Return the unit of a difference, or uncertainty, of values in `unit`."""
    return {"Cel": "K"}.get(unit, unit)
