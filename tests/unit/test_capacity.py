"""The page says what was measured, and its arithmetic is that of the coefficients."""

from __future__ import annotations

import pytest

from tests.capacity import coefficients, page
from tests.capacity.coefficients import Line


def test_the_page_is_that_of_the_coefficients() -> None:
    assert page.FILE.read_text(encoding="utf-8") == page.text_of(coefficients.read()), "python -m tests.capacity --page"


def test_the_cost_of_a_second() -> None:
    line = Line(block=50.0, sample=0.5)
    assert line.a_second(100, 100) == pytest.approx(50 + 50)
    assert line.a_second(100, 10) == pytest.approx(10 * 50 + 50)
    assert page.cores(line, 200, 100) == pytest.approx(page.SHELL * 200 * 100e-6)


def test_what_was_measured_makes_sense() -> None:
    found = coefficients.read()
    for line in (found.edge, found.ingest_embedded, found.ingest_influx, found.calibrate, found.wire, found.spool):
        assert line.block >= 0
        assert line.sample > 0
    assert 5 < found.embedded_bytes < 40
    assert 0.01 < found.sensor_mb < 50
    assert 5 < found.aggregate_bytes < 150
