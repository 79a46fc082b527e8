"""What calibration says of a sensor comes back as it was, and nothing else is taken for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncal.contracts import health
from dyncal.domain.errors import MalformedMessage
from dyncal.domain.health import (
    Attribution,
    Cause,
    Conformance,
    Outlook,
    ParameterConformity,
    SensorHealth,
    Watch,
)
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import LATEST, InstantNs

instants = st.integers(0, LATEST).map(InstantNs)
maybe = st.none() | instants
finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(0, 1e300, exclude_min=True)
shares = st.floats(0, 1)
text = st.text(max_size=20)

said = st.builds(
    SensorHealth,
    sensor=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True).map(SensorId),
    at_ns=instants,
    holds_until_ns=instants,
    watch=st.sampled_from(Watch),
    since_ns=instants,
    informed_ns=maybe,
    reason=text,
    parameter=text,
    change=st.none() | finite,
    u_change=st.none() | positive,
    attribution=st.none() | st.builds(Attribution, st.sampled_from(Cause), shares, shares, shares, shares),
    conformity=st.lists(
        st.builds(ParameterConformity, text, finite, positive, positive, shares, st.sampled_from(Conformance)),
        max_size=3,
    ).map(tuple),
    outlook=st.lists(st.builds(Outlook, text, maybe, maybe, maybe, finite, positive), max_size=3).map(tuple),
)


@given(said)
def test_it_comes_back_as_it_was(what: SensorHealth) -> None:
    assert health.decode(health.encode(what)) == what


ONE = SensorHealth(SensorId("tc-1"), InstantNs(3), InstantNs(9), Watch.DRIFT, InstantNs(1), reason="because")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"v":1', b'"v":2'),
        (b"tc-1", b"tc/1"),
        (b'"drift"', b'"fine"'),
        (b'"at_ns":3', b'"at_ns":-3'),
        (b'"because"', b"7"),
        (b"{", b'{"attribution":{"cause":"sensor","sensor":1.5,"reference":0,"process":0,"nothing":0},'),
        (b"}", b""),
    ],
)
def test_what_cannot_be_is_malformed(old: bytes, new: bytes) -> None:
    payload = health.encode(ONE)
    assert old in payload
    with pytest.raises(MalformedMessage):
        health.decode(payload.replace(old, new, 1))
