"""Nodes, built when somebody asks for them.

What does not differ between nodes is shared: a node costs what it says of itself, and its references.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from asyncua import ua
from asyncua.server.address_space import AttributeValue, NodeData

Read = Callable[[], Any]
"""Returns the `DataValue` of a variable, now."""


def standard(identifier: int) -> Any:
    """Return a node id of OPC UA's own namespace."""
    return ua.NodeId(identifier, 0)


OBJECT: Final = ua.NodeClass.Object
VARIABLE: Final = ua.NodeClass.Variable
METHOD: Final = ua.NodeClass.Method
ORGANIZES: Final = standard(ua.ObjectIds.Organizes)
COMPONENT: Final = standard(ua.ObjectIds.HasComponent)
PROPERTY: Final = standard(ua.ObjectIds.HasProperty)
NOTIFIER: Final = standard(ua.ObjectIds.HasNotifier)
EVENT_SOURCE: Final = standard(ua.ObjectIds.HasEventSource)
CONDITION: Final = standard(ua.ObjectIds.HasCondition)
TYPE: Final = standard(ua.ObjectIds.HasTypeDefinition)
SUBTYPE: Final = standard(ua.ObjectIds.HasSubtype)


class Name(NamedTuple):
    """What a reference tells of the node that it points to."""

    node: Any
    browse: Any
    display: str
    node_class: Any
    type: Any = None


def points(kind: Any, to: Name, *, forward: bool = True) -> Any:
    """Return a reference."""
    return ua.ReferenceDescription(
        ReferenceTypeId=kind,
        IsForward=forward,
        NodeId=to.node,
        BrowseName=to.browse,
        DisplayName=ua.LocalizedText(to.display),
        NodeClass=to.node_class,
        TypeDefinition=to.type or ua.NodeId(),
    )


def _fixed(value: Any, kind: Any) -> AttributeValue:
    return AttributeValue(ua.DataValue(ua.Variant(value, kind)))


_OBJECT_CLASS: Final = _fixed(OBJECT, ua.VariantType.Int32)
_VARIABLE_CLASS: Final = _fixed(VARIABLE, ua.VariantType.Int32)
_NO_MASK: Final = _fixed(0, ua.VariantType.UInt32)
_EVENTS: Final = {flag: _fixed(int(flag), ua.VariantType.Byte) for flag in (False, True)}
_SCALAR: Final = _fixed(-1, ua.VariantType.Int32)
_ARRAY: Final = _fixed(1, ua.VariantType.Int32)
_READABLE: Final = _fixed(1, ua.VariantType.Byte)
_HISTORIZING: Final = _fixed(False, ua.VariantType.Boolean)  # noqa: FBT003 - it is the value
_INTERVAL: Final = _fixed(0.0, ua.VariantType.Double)
_TYPES: dict[int, AttributeValue] = {}


class WatchedValue(AttributeValue):  # type: ignore[misc]  # asyncua has no types
    """The value of a variable: read when it is asked for, and watched while somebody has subscribed to it."""

    def __init__(self, read: Read, watched: dict[WatchedValue, None]) -> None:
        super().__init__(None)
        self.read = read
        self.value_callback = lambda _, __: read()
        self.datachange_callbacks = _Callbacks(self, watched)
        self.sent: Any = None


class _Callbacks(dict[int, Callable[..., Any]]):
    """Tells who is subscribed to: the address space adds and removes callbacks itself."""

    def __init__(self, owner: WatchedValue, watched: dict[WatchedValue, None]) -> None:
        self._owner, self._watched = owner, watched

    def __setitem__(self, handle: int, callback: Callable[..., Any]) -> None:
        super().__setitem__(handle, callback)
        self._watched[self._owner] = None

    def pop(self, handle: int, *default: Any) -> Any:
        callback = super().pop(handle, *default)
        if not self:
            self._watched.pop(self._owner, None)
        return callback


def object_node(name: Name, references: Sequence[Any], *, events: bool = False, description: str = "") -> NodeData:
    """Return an object."""
    node = NodeData(name.node)
    node.attributes = {
        **_common(name, description),
        ua.AttributeIds.NodeClass: _OBJECT_CLASS,
        ua.AttributeIds.EventNotifier: _EVENTS[events],
    }
    node.references = [_typed(name), *references]
    return node


def variable_node(
    name: Name,
    data_type: int,
    read: Read,
    references: Sequence[Any],
    watched: dict[WatchedValue, None],
    *,
    description: str = "",
    array: bool = False,
) -> NodeData:
    """Return a variable that nobody writes."""
    node = NodeData(name.node)
    if data_type not in _TYPES:
        _TYPES[data_type] = _fixed(standard(data_type), ua.VariantType.NodeId)
    node.attributes = {
        **_common(name, description),
        ua.AttributeIds.NodeClass: _VARIABLE_CLASS,
        ua.AttributeIds.Value: WatchedValue(read, watched),
        ua.AttributeIds.DataType: _TYPES[data_type],
        ua.AttributeIds.ValueRank: _ARRAY if array else _SCALAR,
        ua.AttributeIds.AccessLevel: _READABLE,
        ua.AttributeIds.UserAccessLevel: _READABLE,
        ua.AttributeIds.MinimumSamplingInterval: _INTERVAL,
        ua.AttributeIds.Historizing: _HISTORIZING,
    }
    node.references = [_typed(name), *references]
    return node


def _common(name: Name, description: str) -> dict[Any, AttributeValue]:
    attributes = {
        ua.AttributeIds.NodeId: _fixed(name.node, ua.VariantType.NodeId),
        ua.AttributeIds.BrowseName: _fixed(name.browse, ua.VariantType.QualifiedName),
        ua.AttributeIds.DisplayName: _fixed(ua.LocalizedText(name.display), ua.VariantType.LocalizedText),
        ua.AttributeIds.WriteMask: _NO_MASK,
        ua.AttributeIds.UserWriteMask: _NO_MASK,
    }
    if description:
        text = _fixed(ua.LocalizedText(description), ua.VariantType.LocalizedText)
        attributes[ua.AttributeIds.Description] = text
    return attributes


def _typed(name: Name) -> Any:
    browse = ua.QualifiedName(ua.ObjectIdNames.get(name.type.Identifier, ""), 0)
    kind = ua.NodeClass.ObjectType if name.node_class == OBJECT else ua.NodeClass.VariableType
    return points(TYPE, Name(name.type, browse, browse.Name, kind))
