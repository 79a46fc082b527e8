"""Variables by patterns of their browse paths."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from asyncua import ua

from dyncal.domain.errors import Unavailable
from dyncal.domain.sensors import SensorId
from edge_agent.readers.addresses import parse_pattern
from edge_agent.readers.discovery import find
from edge_agent.readers.finds import Finds
from edge_agent.readers.limits import Limits
from edge_agent.source_settings import OpcuaSettings, SensorSettings

ROOT = ua.NodeId(ua.ObjectIds.RootFolder)


class Space:
    """An address space that is browsed, a few references in an answer."""

    def __init__(self, page: int = 2, most: int = 1000) -> None:
        self.page, self.most = page, most
        self.children: dict[Any, list[tuple[Any, str, Any]]] = {}
        self.kept: dict[bytes, list[Any]] = {}
        self.n_calls = 0

    def add(self, parent: Any, name: str, namespace: int = 2, *, variable: bool = False, node_id: Any = None) -> Any:
        node_id = node_id or ua.NodeId(f"{parent.Identifier}/{name}", namespace)
        kind = ua.NodeClass.Variable if variable else ua.NodeClass.Object
        self.children.setdefault(parent, []).append((node_id, name, kind))
        return node_id

    async def browse(self, parameters: Any) -> list[Any]:
        await asyncio.sleep(0)
        self.n_calls += 1
        if len(parameters.NodesToBrowse) > self.most:
            raise ua.uaerrors.BadTooManyOperations
        return [self._answer(self._references(wanted.NodeId)) for wanted in parameters.NodesToBrowse]

    async def browse_next(self, parameters: Any) -> list[Any]:
        await asyncio.sleep(0)
        return [self._answer(self.kept.pop(point)) for point in parameters.ContinuationPoints]

    async def read_attributes(self, nodes: Any, attribute: Any) -> list[Any]:
        del nodes, attribute
        await asyncio.sleep(0)
        return [ua.DataValue(ua.Variant(["http://opcfoundation.org/UA/", "urn:own", "urn:plant"]))]

    def _references(self, node_id: Any) -> list[Any]:
        return [
            SimpleNamespace(
                NodeId=ua.ExpandedNodeId(child.Identifier, child.NamespaceIndex),
                BrowseName=ua.QualifiedName(name, child.NamespaceIndex),
                NodeClass=kind,
            )
            for child, name, kind in self.children.get(node_id, [])
        ]

    def _answer(self, references: list[Any]) -> Any:
        first, rest = references[: self.page], references[self.page :]
        point = None
        if rest:
            point = str(len(self.kept)).encode()
            self.kept[point] = rest
        return SimpleNamespace(StatusCode=ua.StatusCode(0), References=first, ContinuationPoint=point)


@pytest.fixture
def space() -> Space:
    """Objects/Plant/{L1, L2}/{TT1, TT2, PT1}, each with a unit; and something that leads back up."""
    space = Space()
    objects = space.add(ROOT, "Objects", node_id=ua.NodeId(ua.ObjectIds.ObjectsFolder))
    plant = space.add(objects, "Plant")
    for line in ("L1", "L2"):
        place = space.add(plant, line)
        for name in ("TT1", "TT2", "PT1"):
            variable = space.add(place, name, variable=True)
            space.add(variable, "Unit", variable=True)
        space.add(place, "Up", node_id=plant)
    space.add(objects, "TT9", 3, variable=True)
    space.add(plant, "TT0", node_id=ua.NodeId("an object", 2))
    return space


async def names(space: Space, path: str) -> list[str]:
    found = await find(space, Limits(), {"urn:plant": 2}, parse_pattern(path, {"plant": "urn:plant"}))
    return sorted(f"{item.parent}/{item.name}" for item in found)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/Objects/plant:Plant/L1/TT*", ["L1/TT1", "L1/TT2"]),
        ("/Objects/Plant/L?/PT1", ["L1/PT1", "L2/PT1"]),
        ("/Objects/Plant/**/TT[12]", ["L1/TT1", "L1/TT2", "L2/TT1", "L2/TT2"]),
        ("/Root/**/TT*", ["L1/TT1", "L1/TT2", "L2/TT1", "L2/TT2", "Objects/TT9"]),
        ("/**/2:TT*", ["L1/TT1", "L1/TT2", "L2/TT1", "L2/TT2"]),
        ("/Objects/3:*", ["Objects/TT9"]),
        ("/Objects/Plant/*", []),
        ("/Objects/Plant/L1/PT1/Unit", ["PT1/Unit"]),
        ("/Nowhere/**", []),
    ],
)
async def test_what_fits_is_found_once(space: Space, path: str, expected: list[str]) -> None:
    assert await names(space, path) == expected


async def test_a_server_that_takes_few_nodes_in_a_call_is_browsed_all_the_same(space: Space) -> None:
    space.most = 1
    assert len(await names(space, "/**/TT*")) == 5


async def test_an_address_space_without_end_is_given_up(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.readers.discovery._MOST_PLACES", 5)
    with pytest.raises(Unavailable, match="say more of the path"):
        await names(space, "/**/TT*")


def declared(*sensors: str) -> dict[SensorId, SensorSettings]:
    return {SensorId(s): SensorSettings(sensor=s, unit="Cel", dt_s=0.1, label=f"label of {s}") for s in sensors}


async def test_declared_sensors_are_found_and_the_others_told_of(space: Space) -> None:
    settings = OpcuaSettings.model_validate(
        {"url": "opc.tcp://plc", "browse": [{"path": "/Objects/**/TT*", "sensor": "{parent}.{name}", "sampling_s": 0}]}
    )
    finds = Finds(settings, declared("L1.TT1", "L2.TT2", "L9.TT9"))
    nodes = await finds.more(space, Limits())
    assert {node.sensor: node.node for node in nodes} == {
        "L1.TT1": "ns=2;s=85/Plant/L1/TT1",
        "L2.TT2": "ns=2;s=85/Plant/L2/TT2",
    }
    assert {(node.label, node.sampling_s) for node in nodes} == {("label of L1.TT1", 0.0), ("label of L2.TT2", 0.0)}
    assert finds.passed_over.startswith("3 of 5 variables of /Objects/**/TT*")
    space.add(space.add(ua.NodeId(ua.ObjectIds.ObjectsFolder), "L9"), "TT9", variable=True)
    assert [node.sensor for node in await finds.more(space, Limits())] == ["L9.TT9"]


async def test_two_variables_of_one_name_are_one_sensor_and_a_fault(space: Space) -> None:
    settings = OpcuaSettings.model_validate({"url": "opc.tcp://plc", "browse": [{"path": "/Objects/Plant/*/TT1"}]})
    finds = Finds(settings, declared("TT1"))
    assert [node.node for node in await finds.more(space, Limits())] == ["ns=2;s=85/Plant/L1/TT1"]
    assert "TT1 (ns=2;s=85/Plant/L2/TT1)" in finds.passed_over
    assert await finds.more(space, Limits()) == []


async def test_a_namespace_that_the_server_lacks_is_told_and_harms_no_other_pattern(space: Space) -> None:
    settings = OpcuaSettings.model_validate(
        {
            "url": "opc.tcp://plc",
            "namespaces": {"gone": "urn:gone"},
            "browse": [{"path": "/Objects/gone:X"}, {"path": "/Objects/Plant/L1/TT1"}],
        }
    )
    finds = Finds(settings, declared("TT1"))
    assert len(await finds.more(space, Limits())) == 1
    assert "urn:gone" in finds.passed_over


@pytest.mark.parametrize("browse", [{"path": "Objects/*"}, {"path": "/a//b"}, {"path": "/a", "sensor": "{what}"}])
def test_patterns_and_templates_are_checked(browse: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        OpcuaSettings.model_validate({"url": "opc.tcp://plc", "browse": [browse]})
