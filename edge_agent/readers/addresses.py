"""What people call a node of an OPC UA server, read into what can be asked of the server. Pure.

=================================================  ===================================================================
``ns=2;s=TT1``, ``i=2258``                         node id with the namespace's index
``nsu=urn:plant;s=TT1``                            node id with the namespace's URI, whatever index the server gives it
``ns=line1;s=TT1``                                 node id with a name that the settings give to a URI (`namespaces`)
``/Objects/2:Plant/line1:TT1``                     browse path from the root, each name with its namespace (0 if none)
``/Objects/2:Plant/**/TT*``                        pattern of browse paths: ``*?[]`` in names, ``**`` for any levels
=================================================  ===================================================================
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

_NODE_ID: Final = re.compile(
    r"(?:ns=(?P<ns>[^;]+);|nsu=(?P<uri>[^;]+);)?(?P<kind>[isgb])=(?P<identifier>.+)", re.DOTALL
)
_ALIAS: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")

Namespace = int | str
"""Index, or URI."""


class UnknownNamespace(ValueError):
    """The server has no namespace of that URI."""


class Step(NamedTuple):
    """An element of a browse path; `namespace` None is that of the name, whichever it is."""

    namespace: Namespace | None
    name: str


@dataclass(frozen=True, slots=True)
class NodeIdAddress:
    """A node id: its namespace, and its identifier there (``i=``, ``s=``, ``g=``, ``b=`` with Base64)."""

    namespace: Namespace
    identifier: int | str | uuid.UUID | bytes


@dataclass(frozen=True, slots=True)
class PathAddress:
    """A browse path from the root."""

    steps: tuple[Step, ...]


Address = NodeIdAddress | PathAddress


def parse(text: str, aliases: Mapping[str, str] | None) -> Address:
    """Return what a text addresses; `aliases` are names of namespace URIs, None: whatever they are.

    Raises
    ------
    ValueError
        If it addresses nothing, with the reason.
    """
    if text.startswith("/"):
        steps = tuple(_step(part, aliases, 0) for part in text.strip("/").split("/"))
        if steps[0] == Step(0, "Root"):
            steps = steps[1:]
        if not steps:
            raise ValueError("a browse path needs names, such as '/Objects/2:Plant/2:TT1'")
        return PathAddress(steps)
    match = _NODE_ID.fullmatch(text)
    if match is None:
        raise ValueError(
            "expected a node id such as 'ns=2;s=TT101', 'nsu=urn:plant;s=TT101' or 'i=2258', or a browse path such as "
            "'/Objects/2:Plant/2:TT101'"
        )
    identifier = _identifier(match["kind"], match["identifier"])
    if match["uri"] is not None:
        return NodeIdAddress(match["uri"], identifier)
    return NodeIdAddress(0 if match["ns"] is None else _namespace(match["ns"], aliases), identifier)


def parse_pattern(text: str, aliases: Mapping[str, str] | None) -> tuple[Step, ...]:
    """Return the steps of a browse path with wildcards, names without a namespace being of any. Raises as `parse`."""
    if not text.startswith("/"):
        raise ValueError("expected a browse path such as '/Objects/2:Plant/**/2:TT*'")
    steps = tuple(_step(part, aliases, None) for part in text.strip("/").split("/"))
    return steps[1:] if steps[0] == Step(None, "Root") else steps


def _identifier(kind: str, text: str) -> int | str | uuid.UUID | bytes:
    match kind:
        case "i":
            if not text.isdecimal() or int(text) >= 1 << 32:
                raise ValueError(f"'i={text[:40]}': expected a number of 32 bits")
            return int(text)
        case "g":
            return uuid.UUID(text)
        case "b":
            return base64.b64decode(text, validate=True)
    return text


def _step(part: str, aliases: Mapping[str, str] | None, default: Namespace | None) -> Step:
    head, colon, name = part.partition(":")
    step = Step(default, part)
    if colon and (head.isdecimal() or _ALIAS.fullmatch(head)):
        step = Step(_namespace(head, aliases), name)
    if not step.name:
        raise ValueError(f"an empty name in the browse path, at {part!r}")
    return step


def _namespace(text: str, aliases: Mapping[str, str] | None) -> Namespace:
    if text.isdecimal() and int(text) < 1 << 16:
        return int(text)
    if aliases is None:
        return text
    if text not in aliases:
        known = ", ".join(sorted(aliases)) or "none"
        raise ValueError(f"{text!r} is no namespace index, and no name in `namespaces` (there: {known})")
    return aliases[text]


def index_of(namespace: Namespace, indices: Mapping[str, int]) -> int:
    """Return the index of a namespace. Raises `UnknownNamespace`."""
    if isinstance(namespace, int):
        return namespace
    if namespace not in indices:
        raise UnknownNamespace(f"the server has no namespace {namespace}")
    return indices[namespace]
