"""Every hostile payload ends in `MalformedMessage`, quickly, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from dyncal.contracts import alarms, codec, coefficients, conditions, samples, topics
from dyncal.contracts.edges import CommittedMessage, StatusMessage
from dyncal.domain.errors import MalformedMessage
from tests.hostile.corpus import CORPUS, KINDS, TOPICS, Hostile, block, coefficient_set, envelope, gap, of_kind


def read_desired(payload: bytes) -> object:
    sealed = coefficients.read_envelope(payload)
    coefficients.signature_bytes(sealed)
    return coefficients.open_set(sealed.set)


READERS: dict[str, Callable[[bytes], object]] = {
    "samples": samples.decode,
    "samples, packed": samples.decode_packed,
    "status": lambda payload: codec.from_json(payload, StatusMessage),
    "committed": lambda payload: codec.from_json(payload, CommittedMessage),
    "desired": read_desired,
    "reported": coefficients.decode_report,
    "alarms": alarms.decode,
    "conditions": lambda payload: conditions.decode("dyncal/v1/plant/conditions/TT1/drift", payload),
    "reporters": conditions.decode_list,
}
CASES = [(reader, hostile) for reader in READERS for hostile in of_kind(reader.partition(",")[0])]


@pytest.mark.parametrize(("reader", "hostile"), CASES, ids=[f"{reader}: {hostile.name}" for reader, hostile in CASES])
def test_is_malformed(reader: str, hostile: Hostile) -> None:
    payload = hostile.payload
    started = time.process_time()
    with pytest.raises(MalformedMessage):
        READERS[reader](payload)
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("topic", TOPICS, ids=[repr(topic[:60]) for topic in TOPICS])
def test_topic_is_malformed(topic: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        topics.parse(topic)
    assert len(str(caught.value)) < 400


def test_the_corpus_is_what_it_says() -> None:
    names = [(hostile.kind, hostile.name) for hostile in CORPUS]
    assert len(names) == len(set(names)) >= 40
    assert {kind for kind, _ in names} == {*KINDS, "any"}


def test_what_the_corpus_is_made_from_is_sound() -> None:
    """Otherwise its payloads would be refused for another reason than their own."""
    import json

    assert samples.decode(block()).sequence == 0
    assert samples.decode(gap()).sequence == 3
    desired = read_desired(envelope(json.dumps(coefficient_set())))
    assert desired.id == "TT1.1"  # type: ignore[attr-defined]  # a set, no tombstone
