from __future__ import annotations

import dataclasses

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from dyncal.adapters.signing import Ed25519Signer
from dyncal.contracts import trail
from dyncal.domain.errors import MalformedMessage
from dyncal.domain.time import InstantNs
from dyncal.ports.records import AuditEntry
from dyncal.ports.trail import Checkpoint, Head

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = Ed25519Signer(PRIVATE)


def make_entries(n: int) -> list[AuditEntry]:
    entries = []
    digest = trail.GENESIS.digest
    for number in range(1, n + 1):
        content = (number, 1_700_000_000_000_000_000 + number, "nö", "sensor.put", f"tc-{number % 7}", "because\n")
        digest = trail.digest_of(digest, *content)
        entries.append(AuditEntry(number, InstantNs(content[1]), *content[2:], digest))
    return entries


ENTRIES = make_entries(40)
ROWS = [dataclasses.astuple(entry) for entry in ENTRIES]
CHECKPOINTS = [
    trail.sign_head(Head(n, ENTRIES[n - 1].digest), "plant", InstantNs(n), SIGNER) for n in (10, 30)
]  # fmt: skip
FILE = b"".join(trail.export_lines(trail.GENESIS, ENTRIES, CHECKPOINTS))


def is_signed(checkpoint: Checkpoint) -> bool:
    try:
        PRIVATE.public_key().verify(checkpoint.signature, trail.signed_bytes(checkpoint))
    except InvalidSignature:
        return False
    return checkpoint.key_id == SIGNER.key_id


def is_whole(content: bytes) -> bool:
    try:
        given = trail.read_export(content)
    except MalformedMessage:
        return False
    wanted = {c.number: c.digest for c in given.checkpoints}
    return all(map(is_signed, given.checkpoints)) and trail.follow(given.rows, given.start, wanted) == trail.Followed(
        given.end
    )


def test_a_whole_trail_fits() -> None:
    assert trail.follow(ROWS) == trail.Followed(Head(40, ENTRIES[-1].digest))
    assert trail.follow([]) == trail.Followed(trail.GENESIS)
    assert trail.follow(ROWS[20:], Head(20, ENTRIES[19].digest)) == trail.Followed(Head(40, ENTRIES[-1].digest))


@given(st.data())
def test_one_value_of_one_entry_changed_is_found_there(data: st.DataObject) -> None:
    rows = [list(row) for row in ROWS]
    k, column = data.draw(st.integers(0, 39)), data.draw(st.integers(0, 6))
    old = rows[k][column]
    other = st.one_of(st.integers(), st.text(), st.binary(max_size=9), st.floats(), st.none(), st.booleans())
    rows[k][column] = data.draw(other.filter(lambda new: type(new) is not type(old) or new != old))
    found = trail.follow(map(tuple, rows))
    assert found.misfit == k + 1


@pytest.mark.parametrize("k", [0, 17, 39])
def test_an_entry_removed_repeated_or_moved_is_found(k: int) -> None:
    assert trail.follow(ROWS[:k] + ROWS[k + 1 :], wanted={40: ENTRIES[-1].digest}).misfit == k + 1
    assert trail.follow(ROWS[: k + 1] + ROWS[k:]).misfit == k + 2
    if k:
        assert trail.follow([*ROWS[: k - 1], ROWS[k], ROWS[k - 1], *ROWS[k + 1 :]]).misfit == k


def test_what_was_signed_must_still_be_there() -> None:
    anew = make_entries(50)[:50]
    rewritten = [dataclasses.replace(anew[0], actor="mallory")]
    rewritten[0] = dataclasses.replace(
        rewritten[0], digest=trail.digest_of(trail.GENESIS.digest, *dataclasses.astuple(rewritten[0])[:-1])
    )
    for entry in anew[1:]:
        content = dataclasses.astuple(entry)[:-1]
        rewritten.append(dataclasses.replace(entry, digest=trail.digest_of(rewritten[-1].digest, *content)))
    rows = [dataclasses.astuple(entry) for entry in rewritten]
    assert trail.follow(rows).misfit is None  # a whole new chain fits by itself
    wanted = {c.number: c.digest for c in CHECKPOINTS}
    assert trail.follow(rows, wanted=wanted).misfit == 10
    assert trail.follow(ROWS[:29], wanted=wanted).misfit == 30
    assert trail.follow(ROWS, wanted=wanted).misfit is None
    assert trail.follow(ROWS[20:], Head(20, ENTRIES[19].digest), wanted={20: "0" * 64}).misfit == 20


def test_a_signature_says_which_trail_which_entry_and_when() -> None:
    checkpoint = CHECKPOINTS[0]
    assert SIGNER.key_id == checkpoint.key_id
    changes = {"site": "other", "number": 11, "digest": "0" * 64, "at_ns": InstantNs(11)}
    for name, value in changes.items():
        other = dataclasses.replace(checkpoint, **{name: value})  # type: ignore[arg-type]
        assert trail.signed_bytes(other) != trail.signed_bytes(checkpoint)


def test_a_file_says_what_it_was_given() -> None:
    found = trail.read_export(FILE)
    assert found == (trail.GENESIS, ROWS, CHECKPOINTS, Head(40, ENTRIES[-1].digest))
    part = b"".join(trail.export_lines(Head(20, ENTRIES[19].digest), ENTRIES[20:], []))
    assert trail.read_export(part).start == Head(20, ENTRIES[19].digest)
    empty = b"".join(trail.export_lines(trail.GENESIS, [], []))
    assert trail.read_export(empty) == (trail.GENESIS, [], [], trail.GENESIS)


@given(st.integers(0, len(FILE) - 1), st.integers(1, 255))
def test_any_byte_of_a_file_changed_is_found(position: int, change: int) -> None:
    assert is_whole(FILE)
    content = bytearray(FILE)
    content[position] ^= change
    assert not is_whole(bytes(content))


@given(st.integers(0, len(FILE) - 1))
def test_a_file_cut_anywhere_is_found(n: int) -> None:
    assert not is_whole(FILE[:n])
    assert not is_whole(FILE[:n] + FILE[n + 1 :])


def test_a_checkpoint_has_one_line() -> None:
    line = trail.checkpoint_line(CHECKPOINTS[0])
    assert trail.read_checkpoint(line.rstrip(b"\n")) == CHECKPOINTS[0]
    for bad in (line, b"{}", b"", line.rstrip(b"\n").replace(b'"at_ns":10', b'"at_ns": 10')):
        with pytest.raises(MalformedMessage):
            trail.read_checkpoint(bad)
    assert isinstance(CHECKPOINTS[0], Checkpoint)
