"""Coefficients for edges: strong tags, 304, long-polling."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from dyncal.contracts import residuals
from dyncal.contracts.coefficients import decode_report
from dyncal.contracts.keys import KeyList, KeyMessage, KeyState, seal_keys
from dyncal.domain.access import Role
from dyncal.domain.coefficients import Outcome, SetState
from dyncal.domain.errors import MalformedMessage
from dyncal.domain.sensors import EdgeId, SensorId, SiteId
from dyncal.testing.registry import S1, act, make_sensor, make_set
from services.api.access.gate import Identify
from services.api.access.principal import SCOPE_KEY, Principal
from services.api.documents import Document
from services.api.express import Express
from tests.hostile.sets import KEY
from tests.unit.services.api.conftest import Api

URL = "/v1/edges/edge-1/coefficients"


async def test_the_document_carries_the_exact_envelopes(api: Api) -> None:
    empty = await api.http.get(URL)
    assert empty.json() == {"v": 1, "edge": "edge-1", "sets": []}
    envelope = b'{"v":1,"set":"{\\"id\\": 1}"}'
    api.registry.add_set(make_set(), envelope, SetState.PUBLISHED, act())
    full = await api.http.get(URL, headers={"if-none-match": empty.headers["etag"]})
    assert full.status_code == 200
    assert envelope in full.content
    assert full.json()["sets"] == [json.loads(envelope)]
    same = await api.http.get(URL, headers={"if-none-match": f'"x", {full.headers["etag"]}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", full.headers["etag"])


async def test_what_is_not_published_is_not_handed_out(api: Api) -> None:
    api.registry.add_set(make_set(), b"{}", SetState.CANDIDATE, act())
    assert (await api.http.get(URL)).json()["sets"] == []


async def test_an_unknown_edge_is_not_found_and_an_impossible_one_refused(api: Api) -> None:
    assert (await api.http.get("/v1/edges/nobody/coefficients")).status_code == 404
    assert (await api.http.get("/v1/edges/%2e%2e/coefficients")).status_code in {404, 422}
    assert (await api.http.get("/v1/edges/a%23/coefficients")).status_code == 422


async def test_a_long_poll_is_answered_by_the_change(api: Api) -> None:
    tag = (await api.http.get(URL)).headers["etag"]
    api.deps.watcher.running = True
    waiting = asyncio.create_task(api.http.get(URL, headers={"if-none-match": tag, "prefer": "wait=50"}))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    api.registry.add_set(make_set(), b"{}", SetState.PUBLISHED, act())
    api.deps.watcher.see(api.deps.watcher.look())
    answer = await asyncio.wait_for(waiting, 5)
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=50"
    assert len(answer.json()["sets"]) == 1


async def test_a_long_poll_ends_with_304_when_nothing_changes(api: Api) -> None:
    tag = (await api.http.get(URL)).headers["etag"]
    api.deps.watcher.running = True
    waiting = asyncio.create_task(api.http.get(URL, headers={"if-none-match": tag, "prefer": "wait=1"}))
    # Another edge's change wakes it, and is not its business; then its time is up.
    await asyncio.sleep(0.1)
    api.registry.remove_pairing(S1, act())
    api.deps.watcher.see(api.deps.watcher.look())
    await asyncio.sleep(0.1)
    assert not waiting.done()
    api.clock.instant += 2_000_000_000  # type: ignore[assignment]
    assert (await asyncio.wait_for(waiting, 5)).status_code == 304


async def test_a_long_poll_without_a_tag_answers_at_once(api: Api) -> None:
    answer = await asyncio.wait_for(api.http.get(URL, headers={"prefer": "wait=60"}), 5)
    assert answer.status_code == 200


async def test_a_long_poll_ends_when_the_service_stops(api: Api) -> None:
    tag = (await api.http.get(URL)).headers["etag"]
    api.deps.watcher.running = True
    waiting = asyncio.create_task(api.http.get(URL, headers={"if-none-match": tag, "prefer": "wait=60"}))
    await asyncio.sleep(0.1)
    api.deps.hub.close()
    api.deps.watcher.close()
    assert (await asyncio.wait_for(waiting, 5)).status_code == 304


async def test_only_documents_with_another_set_are_made_anew(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    far = replace(make_sensor(SensorId("far")), edge=EdgeId("edge-2"))
    api.registry.put_sensors([far], [], act())
    other = "/v1/edges/edge-2/coefficients"
    tag, made = (await api.http.get(other)).headers["etag"], []
    make = api.deps.documents._make

    def counted(edge: EdgeId, sets: tuple[str, ...]) -> Document:
        made.append(edge)
        return make(edge, sets)

    monkeypatch.setattr(api.deps.documents, "_make", counted)
    api.registry.add_set(make_set(), b"{}", SetState.PUBLISHED, act())
    api.registry.set_state(make_set().id, SetState.ACTIVE, act())
    assert len((await api.http.get(URL)).json()["sets"]) == 1
    assert (await api.http.get(other, headers={"if-none-match": tag})).status_code == 304
    assert made == ["edge-1"]


async def test_the_short_way_answers_as_the_long_way_does(api: Api) -> None:
    api.registry.add_set(make_set(), b'{"v":1}', SetState.PUBLISHED, act())
    long = await api.http.get(URL)
    tag = long.headers["etag"]
    long_same = await api.http.get(URL, headers={"if-none-match": f"W/{tag}"})
    api.deps.watcher.see(api.deps.watcher.look())
    api.deps.watcher.running = True

    async def gone(*_: object) -> None:
        raise AssertionError("the long way")

    express = api.app.build_middleware_stack()
    while not isinstance(express, Express):
        express = express.app if hasattr(express, "app") else express._app  # type: ignore[attr-defined]
    express._app = gone
    shortcut = httpx.AsyncClient(
        transport=httpx.ASGITransport(Identify(express, api.deps.entrance, frozenset())), base_url="http://127.0.0.1"
    )
    async with shortcut as http:
        short = await http.get(URL)
        assert (short.status_code, short.content) == (200, long.content)
        for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            same = await http.get(URL, headers={"if-none-match": given})
            assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
        assert (await http.get(URL, headers={"if-none-match": '"x"'})).status_code == 200
        assert {name: short.headers[name] for name in short.headers} == {
            name: value
            for name, value in long.headers.items()
            if name in {"etag", "cache-control", "content-type", "content-length"}
        }
        assert long_same.headers["etag"] == tag
        for more in ({"prefer": "wait=1"}, {"content-length": "0"}):
            with pytest.raises(AssertionError, match="the long way"):
                await http.get(URL, headers={"if-none-match": tag, **more})
        for path in ("/v1/edges/edge-2/coefficients", "/v1/edges//coefficients", "/v1/edges/edge-1/coefficients/"):
            with pytest.raises(AssertionError, match="the long way"):
                await http.get(path)
        api.registry.set_state(make_set().id, SetState.REVERTED, act())
        api.deps.watcher.see(api.deps.watcher.look())
        with pytest.raises(AssertionError, match="the long way"):
            await http.get(URL)


@pytest.mark.parametrize(
    ("principal", "answered"),
    [
        (None, False),
        (Principal("edge:edge-1", Role.EDGE, edge=EdgeId("edge-1")), True),
        (Principal("edge:edge-2", Role.EDGE, edge=EdgeId("edge-2")), False),
        (Principal("key:v", Role.VIEWER), True),
        (Principal("key:c", Role.ADMIN, edges=frozenset({EdgeId("edge-3")})), False),
    ],
)
async def test_the_short_way_is_for_those_whom_the_long_way_lets_through(
    api: Api, principal: Principal | None, answered: bool
) -> None:
    await api.http.get(URL)
    api.deps.watcher.see(api.deps.watcher.look())
    api.deps.watcher.running = True
    passed_on: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed_on.append(scope["path"])

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        pass

    scope: Scope = {"type": "http", "method": "GET", "path": URL, "headers": []}
    if principal is not None:
        scope[SCOPE_KEY] = principal
    await Express(app, api.deps)(scope, receive, send)
    assert passed_on == ([] if answered else [URL])


class Heard:
    """A bus that keeps what was said."""

    def __init__(self) -> None:
        self.connected = True
        self.said: list[tuple[str, bytes, bool]] = []

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.said.append((topic, payload, retain))


RESIDUAL = {"sensor": str(S1), "set_id": "tc-1.5-9ae1c3d2", "rms": 0.012, "limit": 0.2, "n": 3}
REPORT = {"set_id": "tc-1.5-9ae1c3d2", "sequence": 5, "outcome": "rejected", "at_ns": 10**18, "reason": "expired"}
REPORTED = f"/v1/edges/edge-1/coefficients/{S1}/reported"


async def test_what_an_edge_says_over_http_is_said_on_its_topics(api: Api) -> None:
    bus = Heard()
    with api.deps.voice.through(bus):  # type: ignore[arg-type]  # a part of one
        assert (await api.http.post("/v1/edges/edge-1/residuals", json={"items": [RESIDUAL]})).status_code == 204
        assert (await api.http.put(REPORTED, json=REPORT)).status_code == 204
    (topic, payload, retained), (topic_of_report, report, kept) = bus.said
    assert (topic, retained) == ("dyncal/v1/plant/edge-1/residuals", False)
    _, (found,) = residuals.decode(payload)
    assert (found.sensor, found.set_id, found.rms, found.limit, found.n) == (S1, "tc-1.5-9ae1c3d2", 0.012, 0.2, 3)
    assert (topic_of_report, kept) == (f"dyncal/v1/plant/edge-1/coefficients/{S1}/reported", True)
    said = decode_report(report)
    assert (said.sensor, said.outcome, said.running) == (S1, Outcome.REJECTED, "")
    assert said.reason.startswith("expired (said by ")  # it was no edge that said so


async def test_no_edge_speaks_of_what_is_not_its_own_nor_nonsense(api: Api) -> None:
    bus = Heard()
    api.registry.put_sensors([replace(make_sensor(SensorId("other")), edge=EdgeId("edge-2"))], [], act())
    residuals_url = "/v1/edges/edge-1/residuals"
    with api.deps.voice.through(bus):  # type: ignore[arg-type]  # a part of one
        for changed in ({"sensor": "other"}, {"sensor": "nobody"}):
            answer = await api.http.post(residuals_url, json={"items": [RESIDUAL, RESIDUAL | changed]})
            assert answer.status_code == 404
        for nonsense in ({"rms": -1}, {"rms": "NaN"}, {"n": -1}, {"set_id": "a b"}, {"more": 1}, {"sensor": "a/b"}):
            answer = await api.http.post(residuals_url, json={"items": [RESIDUAL | nonsense]})
            assert answer.status_code == 422, nonsense
        assert (await api.http.post("/v1/edges/nobody/residuals", json={"items": [RESIDUAL]})).status_code == 404
        assert (await api.http.put(REPORTED.replace(str(S1), "other"), json=REPORT)).status_code == 404
        assert (await api.http.put(REPORTED, json=REPORT | {"reason": "a\0b"})).status_code == 422
    assert bus.said == []
    unheard = await api.http.put(REPORTED, json=REPORT)
    assert (unheard.status_code, unheard.headers["retry-after"]) == (503, "1")


async def test_the_keys_that_sign_are_handed_on_byte_for_byte(api: Api) -> None:
    url = "/v1/edges/edge-1/keys"
    assert (await api.http.get(url)).status_code == 404
    listed = KeyList(1, "plant", 3, 10**18, [KeyMessage("plant", "AAAA", KeyState.CURRENT)])
    announced = seal_keys(listed, [KEY])
    api.deps.keys.put(SiteId("plant"), announced)
    found = await api.http.get(url)
    assert (found.status_code, found.content) == (200, announced)
    same = await api.http.get(url, headers={"if-none-match": found.headers["etag"]})
    assert same.status_code == 304
    for hostile in (b"nonsense", seal_keys(KeyList(1, "elsewhere", 4, 10**18, listed.keys), [KEY])):
        with pytest.raises(MalformedMessage):
            api.deps.keys.put(SiteId("plant"), hostile)
    assert (await api.http.get(url)).content == announced
