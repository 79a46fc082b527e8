"""Entity tags, cursors and preferences."""

from __future__ import annotations

import pytest

from services.api import pages
from services.api.errors import Problem
from services.api.etags import matches, strong
from services.api.routers.edge import wait_preferred


@pytest.mark.parametrize("header", ['"a"', '"x", "a"', 'W/"a"', "*", ' "b" ,"a" '])
def test_a_known_tag_matches(header: str) -> None:
    assert matches(header, '"a"')


@pytest.mark.parametrize("header", [None, "", "a", '"b"', '"a', 'W/"b"', "\x00", '"A"'])
def test_another_does_not(header: str | None) -> None:
    assert not matches(header, '"a"')


def test_a_tag_follows_every_byte() -> None:
    assert strong(b"a") == strong(b"a") != strong(b"b")


@pytest.mark.parametrize("text", ["tc-1", "", "Łódź", "9" * 19])
def test_a_cursor_comes_back(text: str) -> None:
    assert pages.decode(pages.encode(text)) == text


@pytest.mark.parametrize("cursor", ["!", "a", "_w", "é", "%00"])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Problem):
        pages.decode(cursor)


@pytest.mark.parametrize("text", ["", "-1", "1.0", "²", "9" * 20, "x"])
def test_a_cursor_that_should_be_a_number_is_one(text: str) -> None:
    with pytest.raises(Problem):
        pages.decode_number(pages.encode(text))


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 0),
        ("wait=30", 30),
        ("respond-async, wait=7", 7),
        ("wait=3600", 60),
        ('wait="5"', 5),
        ("wait=-5", 0),
        ("await=5", 0),
        ("wait=x", 0),
        ("wait=" + "9" * 500, 60),
    ],
)
def test_a_preference_to_wait_is_read_and_bounded(prefer: str | None, seconds: int) -> None:
    assert wait_preferred(prefer) == seconds
