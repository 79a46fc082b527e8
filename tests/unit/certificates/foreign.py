"""Certificates as other laboratories write them: small ones, made up for these tests."""

from __future__ import annotations

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<dcc:digitalCalibrationCertificate xmlns:dcc="https://ptb.de/dcc" xmlns:si="https://ptb.de/si"
  schemaVersion="{version}">
  <dcc:administrativeData>
    <dcc:dccSoftware><dcc:software><dcc:name><dcc:content>Editor</dcc:content></dcc:name>
      <dcc:release>v1.0</dcc:release></dcc:software></dcc:dccSoftware>
    <dcc:coreData>
      <dcc:countryCodeISO3166_1>DE</dcc:countryCodeISO3166_1>
      <dcc:usedLangCodeISO639_1>de</dcc:usedLangCodeISO639_1>
      <dcc:usedLangCodeISO639_1>en</dcc:usedLangCodeISO639_1>
      <dcc:mandatoryLangCodeISO639_1>de</dcc:mandatoryLangCodeISO639_1>
      <dcc:uniqueIdentifier>17123-24</dcc:uniqueIdentifier>
      <dcc:beginPerformanceDate>2024-02-28</dcc:beginPerformanceDate>
      <dcc:endPerformanceDate>2024-02-29</dcc:endPerformanceDate>
      <dcc:performanceLocation>laboratory</dcc:performanceLocation>
    </dcc:coreData>
    <dcc:items><dcc:item><dcc:name><dcc:content lang="de">Aufnehmer</dcc:content>
      <dcc:content lang="en">transducer</dcc:content></dcc:name>
      <dcc:identifications><dcc:identification><dcc:issuer>manufacturer</dcc:issuer><dcc:value>4711</dcc:value>
      </dcc:identification></dcc:identifications></dcc:item></dcc:items>
    <dcc:calibrationLaboratory><dcc:contact><dcc:name><dcc:content>Kalibrierlabor</dcc:content></dcc:name>
      <dcc:location><dcc:city>Ulm</dcc:city><dcc:further><dcc:content>Haus 3</dcc:content></dcc:further></dcc:location>
      </dcc:contact></dcc:calibrationLaboratory>
    <dcc:respPersons><dcc:respPerson><dcc:person><dcc:name><dcc:content>N. N.</dcc:content></dcc:name></dcc:person>
      </dcc:respPerson></dcc:respPersons>
    <dcc:customer><dcc:name><dcc:content>Kunde</dcc:content></dcc:name>
      <dcc:location><dcc:city>Bonn</dcc:city></dcc:location></dcc:customer>
  </dcc:administrativeData>
  <dcc:measurementResults><dcc:measurementResult>
    <dcc:name><dcc:content lang="de">Ergebnis</dcc:content><dcc:content lang="en">result</dcc:content></dcc:name>
    <dcc:results><dcc:result><dcc:name><dcc:content>table</dcc:content></dcc:name>
      <dcc:data>
"""
TAIL = """
      </dcc:data></dcc:result></dcc:results>
  </dcc:measurementResult></dcc:measurementResults>
</dcc:digitalCalibrationCertificate>
"""


def certificate(data: str, version: str = "3.2.1") -> bytes:
    """Return a certificate with this content of its only result."""
    return (HEAD.format(version=version) + data + TAIL).encode()


def name(text: str) -> str:
    """Return a name."""
    return f"<dcc:name><dcc:content>{text}</dcc:content></dcc:name>"


def column(title: str, values: str, unit: str, uncertainty: str = "", ref_type: str = "") -> str:
    """Return a quantity that is a list of real numbers."""
    kind = f' refType="{ref_type}"' if ref_type else ""
    return (
        f"<dcc:quantity{kind}>{name(title)}<si:realListXMLList><si:valueXMLList>{values}</si:valueXMLList>"
        f"<si:unitXMLList>{unit}</si:unitXMLList>{uncertainty}</si:realListXMLList></dcc:quantity>"
    )


def expanded(values: str, k: str = "2") -> str:
    """Return expanded uncertainties in the old spelling."""
    return (
        f"<si:expandedUncXMLList><si:uncertaintyXMLList>{values}</si:uncertaintyXMLList>"
        f"<si:coverageFactorXMLList>{k}</si:coverageFactorXMLList>"
        "<si:coverageProbabilityXMLList>0.95</si:coverageProbabilityXMLList></si:expandedUncXMLList>"
    )


def table(*columns: str, ref_type: str = "", title: str = "table") -> str:
    """Return a list."""
    kind = f' refType="{ref_type}"' if ref_type else ""
    return f"<dcc:list{kind}>{name(title)}{''.join(columns)}</dcc:list>"


def single(title: str, value: str, unit: str, uncertainty: str = "", ref_type: str = "") -> str:
    """Return a quantity that is one real number."""
    kind = f' refType="{ref_type}"' if ref_type else ""
    return (
        f"<dcc:quantity{kind}>{name(title)}<si:real><si:value>{value}</si:value><si:unit>{unit}</si:unit>"
        f"{uncertainty}</si:real></dcc:quantity>"
    )


ACCELEROMETER = table(
    column("frequency", "10 100 1000", r"\hertz"),
    column(
        "charge sensitivity",
        "0.1280 0.1282 0.1301",
        r"\pico\coulomb\metre\tothe{-1}\second\tothe{2}",
        expanded("0.00064 0.00064 0.0013", "2 2 2.5"),
    ),
    column("phase lag", "0.1 0.5 1.8e0", r"\degree", expanded("0.5")),
    title="magnitude and phase",
)

THERMOMETER = table(
    column("reference", "273.16 323.15 373.15", r"\kelvin", expanded("0.01"), "basic_referenceValue"),
    column("indication", "0.02 50.01 100.05", r"\degreecelsius", "", "basic_measuredValue"),
    column("error", "0.01 0.01 0.05", r"\degreecelsius", expanded("0.020 0.030 0.040"), "basic_measurementError_error"),
    ref_type="gp_table1",
)
