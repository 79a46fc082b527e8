"""Files that want to do harm, and files that are merely wrong: refused in a moment, with the place named."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dyncal.certificates.certified import certified
from dyncal.certificates.parsing import MAX_BYTES
from dyncal.certificates.reader import read_certificate
from dyncal.certificates.references import parameter_vector
from dyncal.certificates.responses import frequency_points
from dyncal.certificates.writer import write_certificate
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from tests.unit.certificates.examples import SECOND
from tests.unit.certificates.examples import certificate as own_certificate
from tests.unit.certificates.foreign import ACCELEROMETER, certificate, column, expanded, name, table

_LAUGHS = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10}">' for k in range(1, 12))


def _with_dtd(subset: str, content: str, where: str = "Aufnehmer") -> bytes:
    document = certificate(ACCELEROMETER).decode().replace(where, content)
    return document.replace("?>\n", f"?>\n<!DOCTYPE dcc [{subset}]>\n", 1).encode()


@pytest.mark.parametrize("where", ["Aufnehmer", "17123-24", "0.1282"])
def test_billion_laughs(where: str) -> None:
    started = time.process_time()
    with pytest.raises(InvalidData, match=r"document type|not a certificate in XML"):
        read_certificate(_with_dtd(f'<!ENTITY l0 "ha">{_LAUGHS}', "&l11;", where))
    assert time.process_time() - started < 2


def test_billion_laughs_in_an_attribute() -> None:
    document = _with_dtd(f'<!ENTITY l0 "ha">{_LAUGHS}', 'lang="&l11;"', 'lang="en"')
    with pytest.raises(InvalidData, match=r"document type|not a certificate in XML"):
        read_certificate(document)


def test_quadratic_entity() -> None:
    with pytest.raises(InvalidData, match=r"document type|not a certificate in XML"):
        read_certificate(_with_dtd(f'<!ENTITY a "{"x" * 100_000}">', "&a;" * 10_000))


def test_file_of_this_machine_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("1.5")
    with pytest.raises(InvalidData, match="document type") as caught:
        read_certificate(_with_dtd(f'<!ENTITY x SYSTEM "{secret.as_uri()}">', "&x;", "0.1282"))
    assert "1.5" not in str(caught.value)


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_nothing_is_fetched(listener: tuple[str, list[str]]) -> None:
    address, asked = listener
    doctype = (
        f'<!DOCTYPE dcc SYSTEM "{address}/dtd" [<!ENTITY % p SYSTEM "{address}/p">%p;<!ENTITY x SYSTEM "{address}/x">]>'
    )
    document = certificate(ACCELEROMETER).decode().replace("?>\n", f"?>\n{doctype}\n", 1).replace("0.1282", "&x;")
    located = certificate(ACCELEROMETER).replace(
        b'schemaVersion="', f'xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:schemaLocation="a {address}/s" '
        'schemaVersion="'.encode(),
    )  # fmt: skip
    with pytest.raises(InvalidData):
        read_certificate(document.encode())
    read_certificate(located)
    assert asked == []


def test_too_large_is_refused_before_it_is_parsed() -> None:
    document = certificate(column("x", "1 " * 50_000_000, r"\one"))
    assert len(document) > 100_000_000
    started = time.process_time()
    with pytest.raises(InvalidData, match=f"at most {MAX_BYTES} are read"):
        read_certificate(document)
    assert time.process_time() - started < 2


@pytest.mark.parametrize("data", [None, "<dcc/>", 7])
def test_what_is_no_bytes_is_refused_by_name(data: object) -> None:
    with pytest.raises(InvalidData, match=f"a certificate is bytes, not {type(data).__name__}"):
        read_certificate(data)  # type: ignore[arg-type]  # what a caller without a type checker may do


def test_deep_nesting() -> None:
    with pytest.raises(InvalidData, match="not a certificate in XML"):
        read_certificate(certificate("<dcc:list>" * 5000 + "</dcc:list>" * 5000))
    with pytest.raises(InvalidData, match=r"no frequency response"):
        frequency_points(read_certificate(certificate("<dcc:list>" * 200 + "</dcc:list>" * 200)))


def test_many_lists_are_read_in_a_moment() -> None:
    document = certificate(ACCELEROMETER * 2000)
    started = time.process_time()
    read_certificate(document)
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a certificate in XML"),
        (b"\x00\xff\xfe", "not a certificate in XML"),
        (b"{}", "not a certificate in XML"),
        (b"<html/>", "the document is a html"),
        (b"<digitalCalibrationCertificate/>", "the document is a digitalCalibrationCertificate"),
        (certificate(ACCELEROMETER)[:-40], "not a certificate in XML"),
        (certificate(ACCELEROMETER).replace(b"UTF-8", b"UTF-99"), "not a certificate in XML"),
        (certificate(ACCELEROMETER, "2.4.0"), "schema version '2.4.0'; this program reads 3.x"),
        (certificate(ACCELEROMETER, "4.0.0"), "schema version '4.0.0'"),
        (certificate(ACCELEROMETER, "3"), "schema version '3'"),
        (certificate(ACCELEROMETER).replace(b"https://ptb.de/dcc", b"https://example.org/dcc"), "the document is a {https://ex"),
    ],
)  # fmt: skip
def test_what_is_no_certificate(data: bytes, message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        read_certificate(data)


@pytest.mark.parametrize("element", [
    "administrativeData", "coreData", "uniqueIdentifier", "beginPerformanceDate", "calibrationLaboratory", "customer",
    "measurementResults", "measurementResult", "results", "data",
])  # fmt: skip
def test_missing_elements_are_named(element: str) -> None:
    from lxml import etree

    root = etree.fromstring(certificate(ACCELEROMETER))
    for found in list(root.iter(f"{{https://ptb.de/dcc}}{element}")):
        parent = found.getparent()
        assert parent is not None
        parent.remove(found)
    with pytest.raises(InvalidData, match=rf"dcc:{element} is missing"):
        read_certificate(etree.tostring(root))


@pytest.mark.parametrize(
    ("found", "replaced", "message"),
    [
        ("0.1282", "0,1282", r"list/quantity\[2\]/.*/valueXMLList \(line \d+\): '0,1282' is not a number"),
        ("0.1282", "INF", "'INF' is not a number"),
        ("0.1282", "1e999", "'1e999' is beyond double precision"),
        ("0.1282", "0x1p3", "is not a number"),
        ("0.1282", "1_000", "is not a number"),
        ("0.1282", "١", "is not a number"),
        ("0.1280 0.1282 0.1301", "", "a list of 0 numbers"),
        ("0.1280 0.1282 0.1301", "0.1 0.2", "3 numbers for 2 values"),
        ("0.00064 0.00064 0.0013", "0.1 0.2", "2 numbers for 3 values"),
        ("0.00064 0.00064 0.0013", "0.1 -0.2 0.1", "uncertainty 1 is negative"),
        ("2 2 2.5", "2 2", "2 numbers for 3 values"),
        ("2 2 2.5", "2 0 2", "a coverage factor of 0.0"),
        ("2 2 2.5", "NaN", "a coverage factor of nan"),
        (r"<si:unitXMLList>\hertz", r"<si:unitXMLList>\hertz \kilo\hertz", "2 units for 3 values"),
        (r"<si:unitXMLList>\hertz", "<si:unitXMLList>", "there is no unit"),
        ("<si:valueXMLList>10 100 1000</si:valueXMLList>", "", "si:valueXMLList is missing"),
        ("<si:valueXMLList>10 100 1000", "<si:valueXMLList>1<si:b/>0 100 1000", "elements where a text must be"),
        ("2024-02-29", "2023-02-29", "'2023-02-29' is no date"),
        ("<dcc:issuer>manufacturer", "<dcc:issuer>me", "'me' is none of manufacturer, "),
        ("laboratory</dcc:performanceLocation>", "moon</dcc:performanceLocation>", "'moon' is none of laboratory, "),
    ],
)
def test_what_is_wrong_is_named_with_its_place(found: str, replaced: str, message: str) -> None:
    document = certificate(ACCELEROMETER).decode()
    assert found in document
    with pytest.raises(InvalidData, match=message):
        read_certificate(document.replace(found, replaced).encode())


def test_a_comment_hides_nothing() -> None:
    document = certificate(ACCELEROMETER).replace(b"0.1282", b"0.12<!-- 99 -->82<?x y?>")
    assert abs(frequency_points(read_certificate(document)).response[1]) == pytest.approx(0.1282)


@pytest.mark.parametrize(
    "unit", [r"\furlong", "m/s", "|fathom", r"\kilo", r"\metre\tothe{x}", r"\metre\tothe{1/0}", "", "\\" * 1000]
)
def test_unknown_units_are_refused_where_they_matter(unit: str) -> None:
    data = table(
        column("f", "1 2", r"\hertz"),
        column("H", "1 2", unit or r"\one", expanded("0.1")),
        column("phase", "1 2", r"\degree", expanded("0.1")),
    )
    document = certificate(data)
    with pytest.raises(InvalidData, match=r"magnitudes|cannot be converted"):
        frequency_points(read_certificate(document), unit="V")


def _own(found: str, replaced: str) -> bytes:
    document = write_certificate(own_certificate(SECOND)).decode()
    assert found in document
    return document.replace(found, replaced).encode()


def test_indefinite_covariance_is_refused() -> None:
    c = SECOND.cov
    corner = f"<si:valueXMLList>{float(c[0, 1])!r}</si:valueXMLList>"
    large = f"<si:valueXMLList>{10 * float((c[0, 0] * c[1, 1]) ** 0.5)!r}</si:valueXMLList>"
    both = read_certificate(_own(corner, large))
    with pytest.raises(InvalidData, match=r"'parameters' at .*: the covariance matrix is not positive semidefinite"):
        certified(both)
    with pytest.raises(InvalidData, match="not positive semidefinite"):
        parameter_vector(both, ModelKind.SECOND_ORDER)


def test_asymmetric_covariance_is_refused() -> None:
    c = SECOND.cov
    corner = f"<si:valueXMLList>{float(c[0, 1])!r}</si:valueXMLList>"
    document = (
        write_certificate(own_certificate(SECOND)).decode().replace(corner, "<si:valueXMLList>0.0</si:valueXMLList>", 1)
    )
    with pytest.raises(InvalidData, match="the covariance matrix is not symmetric"):
        certified(read_certificate(document.encode()))


@pytest.mark.parametrize(
    ("found", "replaced", "message"),
    [
        ("<si:unitXMLList>\\hertz\\tothe{2}", "<si:unitXMLList>\\second", "a covariance in .*second where .*hertz"),
        ("</si:columnXMLList>", "</si:columnXMLList><si:columnXMLList/>", "columns of .* entries, not 3 by 3"),
        ("second_order", "third_order", "'third_order' is no kind of model"),
        ("gain damping f0_hz", "gain damping", "2 labels for 3 values"),
        ("dyncal_parameters", "other_parameters", "0 lists with dyncal_parameters"),
        ("dyncal_firTaps", "other", "dyncal_firTaps is there 0 times"),
        ("<si:value>17.0", "<si:value>17.5", "a filter with interval .* and delay 17.5"),
        ("<si:value>17.0", "<si:value>NaN", "value 0 is nan"),
        ("T", "X", "not a certificate|is not an ISO 8601 instant|is missing|no kind"),
    ],
)
def test_what_contradicts_itself_is_refused(found: str, replaced: str, message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        certified(read_certificate(_own(found, replaced)))


def test_signatures_are_counted_and_said() -> None:
    signature = '<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/></dcc:digitalCalibrationCertificate>'
    document = certificate(ACCELEROMETER).decode().replace("</dcc:digitalCalibrationCertificate>", signature)
    assert read_certificate(document.encode()).n_signatures == 1


def test_words_of_any_kind_are_only_words() -> None:
    words = "<dcc:noQuantity><dcc:content>a</dcc:content></dcc:noQuantity>"
    data = f"<dcc:quantity>{name('&lt;script&gt;')}{words}</dcc:quantity>"
    read = read_certificate(certificate(data))
    assert next(iter(read.measurements[0].results[0].data)).name == "<script>"
