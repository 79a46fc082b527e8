"""An example for every schema: those that state none get one made of their parts' own."""

from __future__ import annotations

from typing import Any, Final

_AT_NS: Final = 1_769_860_800_000_000_000
_WORDS: Final[dict[str, Any]] = {
    "actor": "user:anna",
    "alarm": "TT-101:drift",
    "edge": "edge-1",
    "id": "TT-101.4",
    "key": "k7f3a9",
    "label": "Reactor inlet",
    "name": "tau_s",
    "names": "tau_s",
    "next_cursor": None,
    "parameter": "tau_s",
    "reason": "after cleaning",
    "reference": "TT-101-REF",
    "sensor": "TT-101",
    "sensors": "TT-101",
    "set_id": "TT-101.4",
    "site": "plant",
    "unit": "Cel",
    "user": "anna",
}
_MOST_DEEP: Final = 6


def complete(schemas: dict[str, Any]) -> None:
    """Give every object among the schemas of an OpenAPI document a whole example."""
    objects = [schema for schema in schemas.values() if "properties" in schema]
    for schema in objects:
        parts = {name: schema["properties"][name] for name in schema.get("required", ())}
        # What says the essential is left to be read first; what is missing for a whole comes behind it.
        schema["examples"] = [
            stated | {name: _of(part, schemas, name, 1) for name, part in parts.items() if name not in stated}
            for stated in schema.get("examples", ())
        ]
    for schema in objects:
        schema["examples"] = schema["examples"] or [_of(schema, schemas, "", 0)]


def _of(schema: dict[str, Any], schemas: dict[str, Any], name: str, depth: int) -> Any:
    if schema.get("examples"):
        return schema["examples"][0]
    for stated in ("const", "default"):
        if stated in schema:
            return schema[stated]
    if "enum" in schema:
        return schema["enum"][0]
    if "$ref" in schema:
        return _of(schemas[schema["$ref"].rpartition("/")[2]], schemas, name, depth + 1)
    choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if choices:
        nullable = any(each.get("type") == "null" for each in choices)
        if nullable and (depth >= _MOST_DEEP or _WORDS.get(name, name) is None):
            return None
        return _of(next(each for each in choices if each.get("type") != "null"), schemas, name, depth)
    return _plain(schema, schemas, name, depth)


def _plain(schema: dict[str, Any], schemas: dict[str, Any], name: str, depth: int) -> Any:
    match schema.get("type"):
        case "object" if "properties" in schema:
            return {key: _of(each, schemas, key, depth + 1) for key, each in schema["properties"].items()}
        case "object":
            return {}
        case "array":
            n = max(1 if depth < _MOST_DEEP else 0, schema.get("minItems", 0))
            return [_of(schema.get("items", {}), schemas, name, depth + 1)] * n
        case "integer":
            return max(_AT_NS if name.endswith("_ns") else 1, schema.get("minimum", 0))
        case "number":
            return max(0.05, schema.get("minimum", 0.0))
        case "boolean":
            return False
        case "string":
            return _WORDS.get(name) or ""
        case _:
            return None
