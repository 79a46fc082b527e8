"""What is sealed for one topic by a trusted key, and nothing else, is opened."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from dyncal.adapters.signing import TrustedKeys, open_signer
from dyncal.contracts.commissioning import VERSION, Sealed, SourcesMessage, seal, unseal
from dyncal.domain.errors import MalformedMessage
from dyncal.runtime.settings import SigningSettings

TOPIC = "dyncal/v1/plant/edge1/sources/desired"
MESSAGE = SourcesMessage(VERSION, 3, 0, opcua=[{"url": "opc.tcp://127.0.0.1"}])


@pytest.fixture
def sealed(tmp_path: Path) -> bytes:
    return seal(MESSAGE, TOPIC, open_signer(SigningSettings(), tmp_path))


@pytest.fixture
def keys(tmp_path: Path) -> TrustedKeys:
    return TrustedKeys(tmp_path / "keys" / "trusted")


def test_what_was_sealed_is_opened(sealed: bytes, keys: TrustedKeys) -> None:
    assert unseal(sealed, TOPIC, SourcesMessage, keys) == MESSAGE


def test_of_another_topic_it_is_not(sealed: bytes, keys: TrustedKeys) -> None:
    with pytest.raises(MalformedMessage, match="not signed for"):
        unseal(sealed, TOPIC.replace("edge1", "edge2"), SourcesMessage, keys)


def test_a_changed_text_is_not(sealed: bytes, keys: TrustedKeys) -> None:
    content = msgspec.json.decode(sealed, type=Sealed)
    for body in (content.body.replace("3", "4", 1), content.body + " "):
        changed = msgspec.json.encode(msgspec.structs.replace(content, body=body))
        with pytest.raises(MalformedMessage, match="not signed for"):
            unseal(changed, TOPIC, SourcesMessage, keys)


def test_a_foreign_key_is_not_trusted(tmp_path: Path, keys: TrustedKeys) -> None:
    foreign = seal(MESSAGE, TOPIC, open_signer(SigningSettings(), tmp_path / "foreign"))
    with pytest.raises(MalformedMessage, match="not signed for"):
        unseal(foreign, TOPIC, SourcesMessage, keys)


@pytest.mark.parametrize("changes", [{"signature": "?"}, {"signature": ""}, {"v": 2}, {"key_id": "x"}])
def test_what_is_no_seal_is_malformed(sealed: bytes, keys: TrustedKeys, changes: dict[str, object]) -> None:
    content = msgspec.structs.replace(msgspec.json.decode(sealed, type=Sealed), **changes)
    with pytest.raises(MalformedMessage):
        unseal(msgspec.json.encode(content), TOPIC, SourcesMessage, keys)


def test_content_of_another_version_is_malformed(tmp_path: Path, keys: TrustedKeys) -> None:
    newer = seal(msgspec.structs.replace(MESSAGE, v=2), TOPIC, open_signer(SigningSettings(), tmp_path))
    with pytest.raises(MalformedMessage, match="version 2"):
        unseal(newer, TOPIC, SourcesMessage, keys)
