"""What people call nodes, and how many of them a server takes at once."""

from __future__ import annotations

import asyncio
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from asyncua import ua

from edge_agent.readers.addresses import NodeIdAddress, PathAddress, Step, parse
from edge_agent.readers.browsing import resolve
from edge_agent.readers.limits import Limits
from edge_agent.source_settings import OpcuaSettings

ALIASES = {"line1": "urn:plant:line1"}
KIND = ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("i=2258", NodeIdAddress(0, 2258)),
        ("ns=2;s=TT1;x/y=1", NodeIdAddress(2, "TT1;x/y=1")),
        ("ns=line1;s=TT1", NodeIdAddress("urn:plant:line1", "TT1")),
        ("nsu=http://plant/a;s=TT1", NodeIdAddress("http://plant/a", "TT1")),
        ("ns=1;b=AAE=", NodeIdAddress(1, b"\0\1")),
        (f"ns=1;g={uuid.UUID(int=7)}", NodeIdAddress(1, uuid.UUID(int=7))),
        (
            "/Root/Objects/2:Plant/line1:T:1",
            PathAddress((Step(0, "Objects"), Step(2, "Plant"), Step("urn:plant:line1", "T:1"))),
        ),
    ],
)
def test_an_address_is_read(text: str, address: Any) -> None:
    assert parse(text, ALIASES) == address


@pytest.mark.parametrize(
    "text",
    ["TT1", "ns=2;i=x", "ns=2;i=4294967296", "ns=other;s=A", "/", "/Objects//A", "/Root", "ns=1;g=7", "ns=1;b=*"],
)
def test_what_addresses_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text, ALIASES)


def test_settings_name_the_node_whose_namespace_has_no_name() -> None:
    node = {"sensor": "A", "node": "ns=line2;s=A", "unit": "Cel", "dt_s": 0.1}
    with pytest.raises(ValueError, match=r"sensor A: 'line2' is no namespace index.*there: line1"):
        OpcuaSettings(url="opc.tcp://plc", nodes=[node], namespaces=ALIASES)


class Server:
    """Takes at most so many operations in a call, and refuses some even alone."""

    def __init__(self, most: int, refuses: tuple[int, ...] = ()) -> None:
        self.most, self.refuses = most, refuses
        self.calls: list[int] = []

    async def call(self, batch: list[int]) -> list[int]:
        await asyncio.sleep(0)
        self.calls.append(len(batch))
        if len(batch) > self.most or set(batch) & set(self.refuses):
            raise ua.uaerrors.BadTooManyOperations
        return [10 * item for item in batch]


async def test_batches_shrink_until_the_server_takes_them() -> None:
    server = Server(7)
    assert await Limits().each(KIND, list(range(1000)), server.call) == [10 * k for k in range(1000)]
    assert sum(n > 7 for n in server.calls) < 10


async def test_an_item_that_is_too_much_by_itself_harms_no_other() -> None:
    results = await Limits().each(KIND, list(range(20)), Server(100, refuses=(5,)).call)
    assert isinstance(results[5], ua.uaerrors.BadTooManyOperations)
    assert [r for k, r in enumerate(results) if k != 5] == [10 * k for k in range(20) if k != 5]


async def test_thousands_of_paths_are_asked_for_in_few_calls_and_found_whatever_their_index() -> None:
    calls = 0

    async def translate(paths: list[Any]) -> list[Any]:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        found = []
        for path in paths:
            name = path.RelativePath.Elements[-1].TargetName
            target = ua.BrowsePathTarget(ua.ExpandedNodeId(name.Name, name.NamespaceIndex), 0xFFFF_FFFF)
            good = name.Name != "T7"
            code = ua.StatusCodes.Good if good else ua.StatusCodes.BadNoMatch
            found.append(SimpleNamespace(StatusCode=ua.StatusCode(code), Targets=[target] if good else []))
        return found

    session: Any = SimpleNamespace(translate_browsepaths_to_nodeids=translate)
    addresses = [parse(f"/Objects/line1:T{k}", ALIASES) for k in range(3000)]
    addresses += [parse("nsu=urn:gone;s=A", ALIASES), parse("nsu=urn:plant:line1;s=A", ALIASES)]
    found = await resolve(session, Limits(), {"urn:plant:line1": 5}, addresses)
    assert calls <= 6
    assert found[8] == ua.NodeId("T8", 5)
    assert found[7] == "BadNoMatch"
    assert "urn:gone" in str(found[3000])
    assert found[3001] == ua.NodeId("A", 5)
