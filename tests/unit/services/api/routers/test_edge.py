"""Coefficients for edges: strong tags, 304, long-polling."""

from __future__ import annotations

import asyncio
import json

from dyncal.domain.coefficients import SetState
from dyncal.testing.registry import S1, act, make_set
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
