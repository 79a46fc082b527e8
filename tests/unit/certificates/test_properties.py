"""Whatever the numbers, what was written is what is read."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dyncal.certificates.document import Certificate, Measurement, QuantityList, Result
from dyncal.certificates.quantity import AnyQuantity, ComplexQuantity, Quantity, TextQuantity
from dyncal.certificates.reader import read_certificate
from dyncal.certificates.ucum import parse_unit
from dyncal.certificates.units import parse_dsi
from dyncal.certificates.writer import write_certificate
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from tests.unit.certificates.examples import ADMINISTRATION

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
# so that u times k = 2 is neither infinite nor loses digits below the smallest normal number
SPREADS = st.floats(0, 1e300, allow_subnormal=False)
LENGTHS = st.integers(1, 20)
WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=40).filter(str.strip)


def _through(quantity: AnyQuantity) -> AnyQuantity:
    table = QuantityList("list", (quantity,))
    written = Certificate(ADMINISTRATION, (Measurement("m", (Result("r", (table,)),)),))
    entry = read_certificate(write_certificate(written)).measurements[0].results[0].data[0]
    assert isinstance(entry, QuantityList)
    return entry.quantities[0]


@settings(max_examples=100)
@given(st.data())
def test_real_lists(data: st.DataObject) -> None:
    n = data.draw(LENGTHS)
    values: FloatArray = data.draw(arrays(np.float64, n, elements=NUMBERS))
    u: FloatArray = data.draw(arrays(np.float64, n, elements=SPREADS))
    k = data.draw(st.sampled_from([1.0, 2.0]))
    root: FloatArray = data.draw(arrays(np.float64, (n, n), elements=st.floats(-10, 10)))
    cov = root @ root.T + np.eye(n)
    back = _through(Quantity("q", values, (r"\milli\volt",), u=u, k=k, cov=(cov + cov.T) / 2))
    assert isinstance(back, Quantity)
    np.testing.assert_array_equal(back.values, values)
    assert back.u is not None
    np.testing.assert_array_equal(back.u, u)
    assert back.k == k
    np.testing.assert_array_equal(back.cov, (cov + cov.T) / 2)


@settings(max_examples=60)
@given(st.data())
def test_complex_lists(data: st.DataObject) -> None:
    n = data.draw(LENGTHS)
    real: FloatArray = data.draw(arrays(np.float64, n, elements=st.floats(-1e100, 1e100, allow_subnormal=False)))
    imag: FloatArray = data.draw(arrays(np.float64, n, elements=st.floats(-1e100, 1e100, allow_subnormal=False)))
    polar = data.draw(st.booleans())
    values = real + 1j * imag
    back = _through(ComplexQuantity("q", values, r"\volt", polar=polar))
    assert isinstance(back, ComplexQuantity)
    assert back.polar is polar
    np.testing.assert_allclose(back.values, values, rtol=1e-14 if polar else 0, atol=0)


@settings(max_examples=100)
@given(WORDS, WORDS)
def test_words(name: str, text: str) -> None:
    back = _through(TextQuantity(name, text))
    assert isinstance(back, TextQuantity)
    assert (back.name, back.text) == (name.strip(), text.strip())


@settings(max_examples=300)
@given(st.text(max_size=30) | st.from_regex(r"(\\[a-z]{1,12}(\{-?[0-9./]{1,4}\})?){1,4}", fullmatch=True))
def test_units_are_read_or_refused_and_written_as_they_are_read(text: str) -> None:
    for parse in (parse_dsi, parse_unit):
        try:
            unit = parse(text)
        except InvalidData:
            continue
        assert parse_dsi(str(unit)) == unit


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_refused(data: bytes) -> None:
    try:
        read_certificate(data)
    except InvalidData:
        return
    raise AssertionError("a certificate?")
