"""From addresses to the node ids that a server has for them now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from asyncua import ua
from asyncua.client.ua_session import UaSession

from edge_agent.readers.addresses import Address, NodeIdAddress, PathAddress, index_of
from edge_agent.readers.limits import Limits

_TRANSLATE: Final = ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds


async def namespaces(session: UaSession) -> dict[str, int]:
    """Return the indices of the server's namespaces by URI; they may change when it restarts."""
    (value,) = await session.read_attributes([ua.NodeId(ua.ObjectIds.Server_NamespaceArray)], ua.AttributeIds.Value)
    uris = [] if value.Value is None else value.Value.Value
    return {str(uri): index for index, uri in enumerate(uris or ())}


async def resolve(
    session: UaSession, limits: Limits, indices: Mapping[str, int], addresses: Sequence[Address]
) -> list[ua.NodeId | str]:
    """Return the node id of each address, or why there is none.

    Raises
    ------
    OSError, TimeoutError, asyncua.ua.UaError
        If the connection is gone.
    """
    found: dict[int, ua.NodeId | str] = {}
    paths: dict[int, Any] = {}
    for k, address in enumerate(addresses):
        try:
            if isinstance(address, NodeIdAddress):
                found[k] = ua.NodeId(address.identifier, index_of(address.namespace, indices))
            else:
                paths[k] = _browse_path(address, indices)
        except (ValueError, ua.UaError) as error:
            found[k] = f"{type(error).__name__}: {error}"
    results = await limits.each(_TRANSLATE, list(paths.values()), session.translate_browsepaths_to_nodeids)
    found |= {k: _target(result) for k, result in zip(paths, results, strict=True)}
    return [found[k] for k in range(len(addresses))]


def _browse_path(address: PathAddress, indices: Mapping[str, int]) -> Any:
    elements = [
        ua.RelativePathElement(
            ReferenceTypeId=ua.NodeId(ua.ObjectIds.HierarchicalReferences),
            IsInverse=False,
            IncludeSubtypes=True,
            TargetName=ua.QualifiedName(step.name, index_of(step.namespace or 0, indices)),
        )
        for step in address.steps
    ]
    return ua.BrowsePath(ua.NodeId(ua.ObjectIds.RootFolder), ua.RelativePath(elements))


def _target(result: Any) -> ua.NodeId | str:
    if isinstance(result, ua.UaStatusCodeError):
        return str(result)
    if not result.StatusCode.is_good():
        return str(result.StatusCode.name)
    for target in result.Targets:
        if target.RemainingPathIndex == 0xFFFF_FFFF:  # otherwise it is in another server
            node_id = target.TargetId
            return ua.NodeId(node_id.Identifier, node_id.NamespaceIndex)
    return "BadNoMatch"
