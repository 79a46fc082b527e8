"""What lies below a node of an OPC UA server, for people who choose what is to be read."""

from __future__ import annotations

import asyncio
import base64
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from asyncua import ua
from asyncua.client.ua_session import UaSession

from dyncal.adapters.opcua.pki import Pki
from dyncal.contracts.commissioning import MAX_ITEMS, FoundNode
from dyncal.domain.errors import InvalidSetting, Unavailable
from edge_agent.readers.addresses import parse
from edge_agent.readers.browsing import namespaces, resolve
from edge_agent.readers.discovery import children_of
from edge_agent.readers.limits import Limits
from edge_agent.readers.session import ServerSession
from edge_agent.readers.values import instant_of
from edge_agent.source_settings import ServerSettings

PATIENCE_S: Final = 20.0
_READ: Final = ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead
_TRANSLATE: Final = ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds
_TYPES: Final = {int(kind.value): kind.name for kind in ua.VariantType if 0 < kind.value <= 25}
_NUMBERS: Final = frozenset(range(2, 12))  # SByte to Double (OPC 10000-6, 5.1.2)
_ABSTRACT_NUMBERS: Final = frozenset((26, 27, 28))  # Number, Integer, UInteger
_SHOWN: Final = 200
_SHOWN_VALUES: Final = 4
_MAX_ID: Final = 2000


async def browse(server: ServerSettings, pki: Pki, node: str) -> tuple[list[FoundNode], bool]:
    """Return what lies below a node ('' for Objects), in the order of the server, and whether there is more.

    Raises
    ------
    InvalidSetting
        If `node` addresses nothing.
    Unavailable
        If the server cannot be asked, with the reason.
    """
    session = ServerSession(server, pki)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await session.connect()
            return await _below(session.services, node)
    except TimeoutError as error:
        raise Unavailable(f"{server.url}: no answer within {PATIENCE_S:g} s") from error
    except (OSError, ua.UaError) as error:
        raise Unavailable(f"{server.url}: {type(error).__name__}: {error}") from error
    finally:
        await session.close()


async def _below(services: UaSession, node: str) -> tuple[list[FoundNode], bool]:
    limits = Limits()
    await limits.read(services)
    indices = await namespaces(services)
    start = await _start(services, limits, indices, node)
    (references,) = await children_of(services, limits, [start], MAX_ITEMS)
    uris = {index: uri for uri, index in indices.items()}
    chosen = [reference for reference in references[:MAX_ITEMS] if _may_be_named(reference, uris)]
    ids = [ua.NodeId(reference.NodeId.Identifier, reference.NodeId.NamespaceIndex) for reference in chosen]
    variables = [k for k, reference in enumerate(chosen) if reference.NodeClass == ua.NodeClass.Variable]
    facts = dict(zip(variables, await _facts(services, limits, [ids[k] for k in variables]), strict=True))
    found = [
        FoundNode(
            node=text_of(ids[k], uris),
            name=_name(reference)[:_SHOWN],
            variable=k in facts,
            **facts.get(k, {}),
        )
        for k, reference in enumerate(chosen)
    ]
    return found, len(references) > len(chosen)


async def _start(services: UaSession, limits: Limits, indices: Mapping[str, int], node: str) -> Any:
    if not node:
        return ua.NodeId(ua.ObjectIds.ObjectsFolder)
    try:
        address = parse(node, None)
    except ValueError as error:
        raise InvalidSetting(f"node = {node[:_SHOWN]!r}: {error}") from error
    (found,) = await resolve(services, limits, indices, [address])
    if isinstance(found, str):
        raise InvalidSetting(f"node = {node[:_SHOWN]!r}: {found}")
    return found


def text_of(node_id: Any, uris: Mapping[int, str]) -> str:
    """Return a node id as the edge's settings have it: by the namespace's URI, which stays when indices change."""
    identifier = node_id.Identifier
    match identifier:
        case int():
            text = f"i={identifier}"
        case uuid.UUID():
            text = f"g={identifier}"
        case bytes():
            text = f"b={base64.b64encode(identifier).decode()}"
        case _:
            text = f"s={identifier}"
    index = node_id.NamespaceIndex
    if index == 0:
        return text
    return f"nsu={uris[index]};{text}" if index in uris and ";" not in uris[index] else f"ns={index};{text}"


def _may_be_named(reference: Any, uris: Mapping[int, str]) -> bool:
    """Tell whether a node is of this server, and its id not too long to be said."""
    node_id = reference.NodeId
    return not getattr(node_id, "ServerIndex", 0) and len(text_of(node_id, uris)) <= _MAX_ID


def _name(reference: Any) -> str:
    shown = reference.DisplayName
    return str((shown.Text if shown is not None else None) or reference.BrowseName.Name)


async def _facts(services: UaSession, limits: Limits, nodes: Sequence[Any]) -> list[dict[str, Any]]:
    """Return what is known of variables: data type, value, unit."""
    values = await _read(services, limits, nodes, ua.AttributeIds.Value)
    kinds = await _read(services, limits, nodes, ua.AttributeIds.DataType)
    ranks = await _read(services, limits, nodes, ua.AttributeIds.ValueRank)
    units = await _units(services, limits, nodes)
    return [_fact(*four) for four in zip(values, kinds, ranks, units, strict=True)]


async def _read(services: UaSession, limits: Limits, nodes: Sequence[Any], attribute: ua.AttributeIds) -> list[Any]:
    """Return the data value of an attribute of each node; None where the server refuses even to be asked."""

    async def ask(batch: list[Any]) -> Sequence[Any]:
        answers: Sequence[Any] = await services.read_attributes(batch, attribute)
        return answers

    answers = await limits.each(_READ, nodes, ask)
    return [None if isinstance(answer, ua.UaStatusCodeError) else answer for answer in answers]


async def _units(services: UaSession, limits: Limits, nodes: Sequence[Any]) -> list[str]:
    """Return the engineering units of variables that say them (OPC 10000-8, 5.6.3)."""
    step = ua.RelativePathElement(
        ReferenceTypeId=ua.NodeId(ua.ObjectIds.HasProperty),
        IsInverse=False,
        IncludeSubtypes=True,
        TargetName=ua.QualifiedName("EngineeringUnits", 0),
    )
    paths = [ua.BrowsePath(node, ua.RelativePath([step])) for node in nodes]
    results = await limits.each(_TRANSLATE, paths, services.translate_browsepaths_to_nodeids)
    places: dict[int, Any] = {}
    for k, result in enumerate(results):
        if not isinstance(result, ua.UaStatusCodeError) and result.StatusCode.is_good() and result.Targets:
            target = result.Targets[0].TargetId
            places[k] = ua.NodeId(target.Identifier, target.NamespaceIndex)
    answers = await _read(services, limits, list(places.values()), ua.AttributeIds.Value)
    said = {k: _unit(_content(answer)) for k, answer in zip(places, answers, strict=True)}
    return [said.get(k, "") for k in range(len(nodes))]


def _unit(content: Any) -> str:
    name = getattr(content, "DisplayName", None)
    return str(getattr(name, "Text", None) or "")[:_SHOWN]


def _fact(value: Any, kind: Any, rank: Any, unit: str) -> dict[str, Any]:
    content, data_type = _content(value), _content(kind)
    number = data_type.Identifier if data_type is not None and data_type.NamespaceIndex == 0 else None
    variant = None if value is None or value.Value is None else value.Value.VariantType
    if variant is not None and variant.value in _TYPES:
        number = variant.value
    rank_said = _content(rank)
    array = isinstance(content, list) if content is not None else isinstance(rank_said, int) and rank_said >= 1
    status = None if value is None else value.StatusCode
    return {
        "numeric": number in _NUMBERS or number in _ABSTRACT_NUMBERS,
        "array": array,
        "data_type": _TYPES.get(number, "") if isinstance(number, int) else "",
        "value": _shown(content),
        "unit": unit,
        "status": "" if status is None or status.is_good() else str(status.name),
        "source_ns": None if value is None or value.SourceTimestamp is None else instant_of(value.SourceTimestamp),
    }


def _content(answer: Any) -> Any:
    return None if answer is None or answer.Value is None else answer.Value.Value


def _shown(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, list):
        few = ", ".join(_shown(value) for value in content[:_SHOWN_VALUES])
        return f"[{few}{', …' if len(content) > _SHOWN_VALUES else ''}] ({len(content)})"
    if isinstance(content, float) and math.isfinite(content):
        return f"{content:.7g}"
    return str(content)[:_SHOWN]
