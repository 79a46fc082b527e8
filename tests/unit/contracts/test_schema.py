from __future__ import annotations

import json
from pathlib import Path

from dyncal.contracts import schema, topics

DOCUMENTS = Path(__file__).parents[3] / "docs" / "protocol"


def test_published_documents_are_what_the_code_speaks() -> None:
    published = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCUMENTS.iterdir())}
    assert published == schema.documents(), (
        "run `dyncal protocol`; a change that old programs cannot read needs a new version"
    )


def test_every_reference_leads_somewhere() -> None:
    for document in (schema.json_schema(), schema.asyncapi()):
        for reference in references(document):
            level = document
            for part in reference.removeprefix("#/").split("/"):
                level = level[part]


NAMES = ("site", "edge", "sensor", "kind", "source", "reporter")


def test_addresses_are_those_that_the_code_parses() -> None:
    for channel in schema.asyncapi()["channels"].values():
        address = channel["address"]
        for name in NAMES:
            address = address.replace(f"{{{name}}}", "x1")
        of_a_site = any(f"/{part}/" in address for part in ("alarms", "conditions", "reporters"))
        if not (of_a_site or address.endswith(("/health", "/keys"))):
            assert topics.parse(address).address.site == "x1"
        assert set(channel["parameters"]) == {n for n in NAMES if f"{{{n}}}" in channel["address"]}


def references(document: object) -> list[str]:
    found: list[str] = []
    json.loads(
        json.dumps(document), object_hook=lambda o: found.append(o["$ref"]) if isinstance(o.get("$ref"), str) else o
    )
    return found
