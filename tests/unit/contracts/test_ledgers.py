"""Ledgers on the wire: they come back as they were, and one that does not add up is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncal.contracts import ledgers
from dyncal.domain.accounts import Account, Lost
from dyncal.domain.errors import MalformedMessage
from dyncal.domain.samples import GapCause
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs

counts = st.integers(0, 2**40)
losses = st.dictionaries(st.sampled_from(GapCause), st.builds(Lost, counts, counts, counts))
NOW = InstantNs(1_700_000_000_000_000_000)


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    blocks, gaps, aside, unknown = (draw(counts) for _ in range(4))
    return Account(
        blocks + gaps + aside + unknown, blocks, draw(counts), gaps, draw(losses), aside, unknown,
        draw(counts), draw(counts),
    )  # fmt: skip


@given(st.dictionaries(st.from_regex(r"[A-Za-z0-9]{1,9}", fullmatch=True).map(SensorId), accounts(), max_size=5))
def test_what_is_encoded_comes_back(given_: dict[SensorId, Account]) -> None:
    assert ledgers.decode(ledgers.encode(NOW, given_)) == (NOW, given_)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b'{"v":2,"at_ns":1,"sensors":{}}', "version 2"),
        (b'{"v":1,"at_ns":1,"sensors":{"a":{"numbers":3,"blocks":2}}}', "does not add up"),
        (b'{"v":1,"at_ns":1,"sensors":{"a":{"gaps":{"laziness":{"gaps":1}}}}}', "laziness"),
        (b'{"v":1,"at_ns":1,"sensors":{"a/b":{}}}', "regex"),
        (b'{"v":1,"at_ns":1,"sensors":{"a":{"numbers":-1}}}', ">= 0"),
        (b"", "truncated"),
    ],
)
def test_what_is_no_ledger_is_refused(payload: bytes, why: str) -> None:
    with pytest.raises(MalformedMessage, match=why):
        ledgers.decode(payload)
