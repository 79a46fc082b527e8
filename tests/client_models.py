"""Writes the shapes of `dyncal.client` from the published interface: ``python -m tests.client_models``."""

from __future__ import annotations

import json
import keyword
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "openapi.json"
FILE = ROOT / "dyncal" / "client" / "models.py"

HEAD = '''"""The shapes of the HTTP API, made of docs/openapi.json by ``python -m tests.client_models``: do not edit.

Times are nanoseconds since 1970-01-01T00:00:00Z; names end in their units. What a newer service says beside these is
passed over.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec


class Shape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all have in common."""
'''


ROOTS = (
    "AlarmChangeOut", "AlarmHistoryPage", "AlarmPage", "AuditPage", "CalibrationPage", "CandidateList", "CommandBody",
    "CommandResult", "DecisionBody", "EdgeList", "GapList", "HoldBody", "HoldList", "InventoryBody", "InventoryReport",
    "JobBody", "JobList", "LaboratoryPage", "LifecycleOut", "MemberPage", "OrderPage", "PairingBody", "PolicyBody",
    "ReportOut", "RollBackBody", "RolloutBody", "RolloutCommandBody", "RolloutHistoryPage", "RolloutPage",
    "RolloutResumeBody", "SampleChainOut", "SamplesOut", "SensorPage", "SetPage",
)  # fmt: skip
"""What the client's methods take and return; the rest follows."""


def generate(document: dict[str, Any]) -> str:
    """Return the module for an OpenAPI document."""
    schemas = document["components"]["schemas"]
    parts = [HEAD]
    for name in sorted(_closure(schemas)):
        schema = schemas[name]
        if schema.get("type") == "object" and "properties" in schema:
            parts.append(_class(name, schema))
        elif "enum" in schema:
            # Words may be added within a version of the interface: a client that knows fewer must go on reading.
            said = schema.get("description", name).splitlines()[0]
            parts.append(f'\n{_name(name)}: TypeAlias = str\n"""{said}"""\n')
        else:
            parts.append(f"\n{_name(name)}: TypeAlias = {_type(schema)}\n")
    text = "\n".join(parts)
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "-q", "--stdin-filename", str(FILE), "-"],
        input=text, capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return done.stdout


def _closure(schemas: dict[str, Any]) -> set[str]:
    """Return the names of the roots and of all that they refer to."""
    found: set[str] = set()
    waiting = list(ROOTS)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(schemas[name]))
    return found


def _name(schema: str) -> str:
    """Return the name of a class; two of one name are told apart by the module they came from."""
    *_, module, name = ["", *schema.split("__")]
    return f"{module.title()}{name}"


def _class(name: str, schema: dict[str, Any]) -> str:
    said = re.split(r"(?<=[.:])\s|\n", schema.get("description", name).strip())[0].rstrip(".:")
    lines = [f"\nclass {_name(name)}(Shape, frozen=True, kw_only=True):", f'    """{said}."""', ""]
    required = set(schema.get("required", ()))
    for field, of in schema["properties"].items():
        if keyword.iskeyword(field):
            raise ValueError(f"{name}.{field} is a keyword")
        lines.append(f"    {field}: {_type(of)}{'' if field in required else _default(of)}")
    return "\n".join(lines) + "\n"


def _default(schema: dict[str, Any]) -> str:
    factory = {"array": "list", "object": "dict"}.get(schema.get("type", ""))
    value = schema.get("default")
    if isinstance(value, dict) and not _type(schema).startswith("dict"):
        return f" = msgspec.field(default_factory={_type(schema)})"
    if factory is not None and not value:
        return f" = msgspec.field(default_factory={factory})"
    if isinstance(value, (list, dict)):
        return f" = msgspec.field(default_factory=lambda: {value!r})"
    return f" = {value!r}"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _name(str(schema["$ref"]).rpartition("/")[2])
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return _type(schema["allOf"][0])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            kinds = list(dict.fromkeys(_type(each) for each in schema[key]))
            others = [kind for kind in kinds if kind not in ("None", "str", "int", "float", "bool")]
            return "Any" if "Any" in kinds or len(others) > 1 else " | ".join(kinds)
    return _plain(schema)


def _plain(schema: dict[str, Any]) -> str:
    match schema.get("type", "string" if {"const", "enum"} & schema.keys() else None):
        case "string":
            return "str"
        case "integer":
            return "int"
        case "number":
            return "float"
        case "boolean":
            return "bool"
        case "null":
            return "None"
        case "array":
            return f"list[{_type(schema.get('items', {}))}]"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return f"dict[str, {_type(schema['additionalProperties'])}]"
        case "object":
            return "dict[str, Any]"
        case _:
            return "Any"


def main() -> None:
    """Write the module."""
    FILE.write_text(generate(json.loads(DOCUMENT.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
