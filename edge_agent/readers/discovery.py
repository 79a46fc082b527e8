"""Variables of a server whose browse path fits a pattern."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from asyncua import ua
from asyncua.client.ua_session import UaSession

from dyncal.domain.errors import Unavailable
from edge_agent.readers.addresses import Step, index_of
from edge_agent.readers.limits import Limits

_BROWSE: Final = ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse
_AT_ONCE: Final = 1000  # references in an answer: to read thousands takes long, and other tasks wait
_MOST_PLACES: Final = 100_000
_ANY_DEPTH: Final = "**"
_SERVER: Final = ua.NodeId(ua.ObjectIds.Server)  # thousands of nodes about the server itself


class Found(NamedTuple):
    """A variable: its browse name, that of what it is in, and its node id."""

    name: str
    parent: str
    node_id: Any


class _Place(NamedTuple):
    """A node that was reached, and the first step of the pattern that is still to be taken from there."""

    node_id: Any
    name: str
    step: int


async def find(session: UaSession, limits: Limits, indices: Mapping[str, int], pattern: Sequence[Step]) -> list[Found]:
    """Return the variables that fit, in the order of the server; level by level, many nodes in a call.

    A name of a step may hold ``*``, ``?`` and ``[]`` as file names do; a step ``**`` stands for any number of levels.

    Raises
    ------
    Unavailable
        If there is too much to look through.
    ValueError
        If the server lacks a namespace of the pattern.
    OSError, TimeoutError, asyncua.ua.UaError
        If the connection is gone.
    """
    steps = [Step(None if step.namespace is None else index_of(step.namespace, indices), step.name) for step in pattern]
    frontier = [_Place(ua.NodeId(ua.ObjectIds.RootFolder), "", 0)]
    seen: set[tuple[Any, int]] = set()
    found: dict[Any, Found] = {}
    while frontier:
        children = await children_of(session, limits, [place.node_id for place in frontier])
        reached: list[_Place] = []
        for place, references in zip(frontier, children, strict=True):
            for reference in references:
                node_id = ua.NodeId(reference.NodeId.Identifier, reference.NodeId.NamespaceIndex)
                name = str(reference.BrowseName.Name)
                for step in _taken(steps, place.step, node_id, reference.BrowseName):
                    if step == len(steps):
                        if reference.NodeClass == ua.NodeClass.Variable:
                            found.setdefault(node_id, Found(name, place.name, node_id))
                    elif (node_id, step) not in seen:
                        seen.add((node_id, step))
                        reached.append(_Place(node_id, name, step))
        if len(seen) > _MOST_PLACES:
            raise Unavailable(f"more than {_MOST_PLACES} nodes to look through; say more of the path")
        frontier = reached
    return list(found.values())


def _taken(steps: Sequence[Step], at: int, node_id: Any, name: Any) -> Iterator[int]:
    """Yield the steps that may come next behind a child."""
    while at < len(steps) and steps[at].name == _ANY_DEPTH:
        if node_id != _SERVER:
            yield at
        at += 1
    if at < len(steps) and _fits(steps[at], name):
        yield at + 1


def _fits(step: Step, name: Any) -> bool:
    return step.namespace in (None, name.NamespaceIndex) and fnmatch.fnmatchcase(str(name.Name), step.name)


async def children_of(
    session: UaSession, limits: Limits, nodes: Sequence[Any], most: int | None = None
) -> list[list[Any]]:
    """Return the references to what lies below each node, no more than about `most`. Raises as `find`."""

    async def browse(batch: list[Any]) -> Sequence[Any]:
        results: Sequence[Any] = await session.browse(
            ua.BrowseParameters(
                View=ua.ViewDescription(),
                RequestedMaxReferencesPerNode=0 if most is None else min(most, _AT_ONCE),
                NodesToBrowse=[_down(node) for node in batch],
            )
        )
        return results

    return [await _all_references(session, result, most) for result in await limits.each(_BROWSE, nodes, browse)]


def _down(node: Any) -> Any:
    return ua.BrowseDescription(
        NodeId=node,
        BrowseDirection=ua.BrowseDirection.Forward,
        ReferenceTypeId=ua.NodeId(ua.ObjectIds.HierarchicalReferences),
        IncludeSubtypes=True,
        NodeClassMask=ua.NodeClass.Object | ua.NodeClass.Variable,
        ResultMask=ua.BrowseResultMask.All,
    )


async def _all_references(session: UaSession, result: Any, most: int | None) -> list[Any]:
    """Return the references of one node, those beyond the server's first answer too; none of what it does not show."""
    references: list[Any] = []
    while not isinstance(result, ua.UaStatusCodeError) and result.StatusCode.is_good():
        references += result.References or ()
        if not result.ContinuationPoint or (most is not None and len(references) > most):
            break
        (result,) = await session.browse_next(
            ua.BrowseNextParameters(ReleaseContinuationPoints=False, ContinuationPoints=[result.ContinuationPoint])
        )
    return references
