from __future__ import annotations

from asyncua import ua
from asyncua.server.address_space import AddressSpace, NodeData

from services.api.outlets.opcua.building import OBJECT, VARIABLE, Name, WatchedValue, object_node, variable_node
from services.api.outlets.opcua.space import LazyNodes


def node(identifier: str, watched: dict[WatchedValue, None]) -> NodeData | None:
    if identifier.startswith("nobody"):
        return None
    kind = ua.NodeId(63)
    name = Name(ua.NodeId(identifier, 2), ua.QualifiedName(identifier, 2), identifier, VARIABLE, kind)
    if identifier.startswith("object"):
        return object_node(name._replace(node_class=OBJECT), [])
    return variable_node(name, 11, lambda: ua.DataValue(ua.Variant(1.0)), [], watched)


def test_nodes_are_made_when_asked_for_and_forgotten_but_those_in_use() -> None:
    watched: dict[WatchedValue, None] = {}
    there = NodeData(ua.NodeId(85))
    nodes = LazyNodes({there.nodeid: there}, 2, lambda identifier: node(identifier, watched), most=10)
    space = AddressSpace()
    space._nodes = nodes
    assert space[ua.NodeId(85)] is there
    assert ua.NodeId("a", 2) in space
    assert ua.NodeId("nobody", 2) not in space
    assert ua.NodeId("a", 3) not in space
    assert space.get(ua.NodeId(7, 2)) is None
    status, handle = space.add_datachange_callback(ua.NodeId("a", 2), ua.AttributeIds.Value, print)
    assert status.is_good()
    assert len(watched) == 1
    kept = space[ua.NodeId("a", 2)]
    for k in range(100):
        assert space[ua.NodeId(f"v{k}", 2)]
    assert nodes.n_made <= 21
    assert space[ua.NodeId("a", 2)] is kept
    nodes.forget_all()
    nodes.forget("a")
    assert space[ua.NodeId("a", 2)] is kept
    space.delete_datachange_callback(handle)
    assert not watched
    nodes.forget("a")
    assert space[ua.NodeId("a", 2)] is not kept
    assert space.read_attribute_value(ua.NodeId("a", 2), ua.AttributeIds.Value).Value.Value == 1.0
