"""What a request says of itself is one thing or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.access import secrets
from services.api.access.credentials import PLAIN_COOKIE, Bearer, Malformed, Session, read
from services.api.access.limits import MAX_BUCKETS, Buckets


def headers(*pairs: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in pairs]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "abc",
        "Bearer a b",
        "Bearer a,Bearer b",
        "Bearer " + "x" * 9000,
        "bearer\tx",
    ],
)
def test_an_authorization_that_is_none_is_no_cookie_either(value: str) -> None:
    found = read(headers(("authorization", value), ("cookie", f"{PLAIN_COOKIE}=abc")), PLAIN_COOKIE)
    assert isinstance(found, Malformed)


def test_two_authorizations_are_none() -> None:
    assert isinstance(read(headers(("authorization", "Bearer a"), ("authorization", "Bearer a")), "c"), Malformed)


def test_two_session_cookies_are_none_whichever_way_they_come() -> None:
    for sent in ([("cookie", "c=a; c=b")], [("cookie", "c=a"), ("cookie", "x=1; c=a")]):
        assert isinstance(read(headers(*sent), "c"), Malformed)


def test_what_is_one_thing_is_read() -> None:
    assert read(headers(("authorization", "bEARER  abc"), ("cookie", "c=x")), "c") == Bearer("abc")
    assert read(headers(("cookie", "a=1; c=x; cc=2; c")), "c") == Session("x")
    assert read(headers(("cookie", "C=x; xc=1")), "c") is None
    assert read([], "c") is None


@given(st.lists(st.tuples(st.sampled_from([b"authorization", b"cookie", b"x"]), st.binary(max_size=60)), max_size=4))
def test_nothing_that_is_sent_breaks_it(sent: list[tuple[bytes, bytes]]) -> None:
    read(sent, "c")


@given(st.text(max_size=80))
def test_nothing_that_is_sent_as_a_key_breaks_it(text: str) -> None:
    found = secrets.read_key(text)
    assert found is None or text == f"dyn_{found.id}_{found.secret}"
    secrets.digest(text)


def test_a_key_is_found_again_by_its_parts_and_by_nothing_else() -> None:
    made = secrets.new_key()
    parts = secrets.read_key(made.text)
    assert parts is not None
    assert parts.id == made.id
    assert parts.secret not in made.hash
    assert secrets.key_fits(made.hash, parts.secret)
    for k in (0, 20, 42):
        other = parts.secret[:k] + ("A" if parts.secret[k] != "A" else "B") + parts.secret[k + 1 :]
        assert not secrets.key_fits(made.hash, other)
    assert not secrets.key_fits("no hash", parts.secret)
    assert secrets.read_key(made.text + "\n") is None
    assert secrets.read_key(made.text.upper()) is None


def test_passwords_are_long_and_not_the_name() -> None:
    assert not secrets.password_fault("battery staple horse", "anna")
    for bad in ("short", "x" * 500, "aaaaaaaaaaaaaaaa", "this is Anna really"):
        assert secrets.password_fault(bad, "anna")
    hashed = secrets.hash_password("battery staple horse")
    assert secrets.password_fits(hashed, "battery staple horse")
    assert not secrets.password_fits(hashed, "battery staple hors")
    assert not secrets.password_fits(None, "battery staple horse")


def test_buckets_fill_with_time_and_are_bounded() -> None:
    buckets = Buckets(0.5, 2)
    assert [buckets.take("a", 0.0) for _ in range(3)] == [0, 0, 2.0]
    assert buckets.wait_s("b", 0.0) == 0
    assert buckets.wait_s("a", 1.0) == 1.0
    assert [buckets.take("a", 4.0) for _ in range(3)] == [0, 0, 2.0]
    for k in range(MAX_BUCKETS + 10):
        buckets.take(k, 5.0)
    assert len(buckets._left) == MAX_BUCKETS
