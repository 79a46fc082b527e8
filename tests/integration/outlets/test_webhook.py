from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.ports import free_port
from services.api.outlets import backoff
from services.api.outlets.metrics import OutletMetrics
from services.api.outlets.queue import OutletQueue
from services.api.outlets.service import Outlets
from services.api.outlets.settings import WebhookSettings
from services.api.outlets.standing import OutletState
from services.api.outlets.webhook import Webhook
from tests.integration.outlets.certificates import authority, issued
from tests.integration.outlets.receiver import receiving
from tests.unit.services.api.outlets.alarms import FakeFeed, change, event_id

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 0.02)
    monkeypatch.setattr(backoff, "LONGEST_S", 0.2)


def target(tmp_path: Path, port: int, scheme: str = "http", **more: Any) -> WebhookSettings:
    (tmp_path / "secret").write_text(SECRET)
    url = f"{scheme}://127.0.0.1:{port}/hook?x=1"
    return WebhookSettings(name="cmms", url=url, secret_file=tmp_path / "secret", **{"timeout_s": 1.0, **more})


@asynccontextmanager
async def running(
    tmp_path: Path, feed: FakeFeed, *webhooks: WebhookSettings, metrics: CollectorRegistry | None = None
) -> AsyncIterator[Outlets]:
    outlets = Outlets.make(
        webhooks,
        None,
        queue_file=tmp_path / "outlets.sqlite",
        feed=feed,
        clock=SystemClock(),
        metrics=metrics or CollectorRegistry(),
    )
    task = asyncio.create_task(outlets.run())
    try:
        yield outlets
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        outlets.close()


async def begun(outlets: Outlets, tmp_path: Path) -> None:
    """Wait until the target has its place in the history."""
    assert outlets._queue is not None
    async with asyncio.timeout(5):
        while outlets._queue._last("cmms") is None:
            await asyncio.sleep(0.01)


async def test_a_change_arrives_signed_as_documented(tmp_path: Path) -> None:
    feed = FakeFeed()
    async with receiving() as receiver, running(tmp_path, feed, target(tmp_path, receiver.port)) as outlets:
        await begun(outlets, tmp_path)
        feed.add(change(1))
        outlets.wake()
        await receiver.until(1)
        post = receiver.posts[0]
        assert post.path == "/hook?x=1"
        assert post.headers["content-type"] == "application/json"
        assert post.message["type"] == "alarm.raised"
        assert post.message["id"] == post.headers["webhook-id"] == event_id(1)
        assert post.message["timestamp"].endswith("Z")
        assert post.message["data"]["id"] == "TT-101:drift"
        assert post.message["data"]["state"] == "unacknowledged"
        assert outlets.faults() == {"outlet.cmms": ""}


async def test_nothing_is_lost_or_disordered_while_the_receiver_fails(tmp_path: Path) -> None:
    feed = FakeFeed()
    script = [
        (500, {}),
        (-1, {}),
        (503, {"retry-after": "1"}),
        (429, {}),
        (302, {"location": "/"}),
        (400, {}),
        (204, {}),
    ]
    async with (
        receiving(script=script) as receiver,
        running(tmp_path, feed, target(tmp_path, receiver.port)) as outlets,
    ):
        await begun(outlets, tmp_path)
        feed.add(*(change(n, f"TT-{n % 7}", event="updated") for n in range(1, 101)))
        outlets.wake()
        async with asyncio.timeout(20):
            while outlets._queue is not None and outlets._queue.account("cmms").n_delivered < 100:
                await asyncio.sleep(0.02)
        taken = [p for p in receiver.posts if p.message["type"].startswith("alarm")]
        order: dict[str, list[int]] = {}
        for post in taken:
            seen = order.setdefault(post.message["data"]["id"], [])
            if post.message["data"]["number"] not in seen:
                seen.append(post.message["data"]["number"])
        assert sorted(n for numbers in order.values() for n in numbers) == list(range(1, 101))
        assert all(numbers == sorted(numbers) for numbers in order.values())
        assert receiver.most_at_once <= 4


async def test_what_waits_survives_a_restart_and_an_outage_of_the_receiver(tmp_path: Path) -> None:
    feed, port = FakeFeed(), free_port()
    async with running(tmp_path, feed, target(tmp_path, port)) as outlets:
        await begun(outlets, tmp_path)
        feed.add(*(change(n, f"TT-{n}") for n in range(1, 31)))
        outlets.wake()
        async with asyncio.timeout(5):
            while not outlets.faults()["outlet.cmms"]:
                await asyncio.sleep(0.01)
    feed.add(*(change(n, f"TT-{n}") for n in range(31, 61)))  # while the service is away
    async with receiving(port) as receiver, running(tmp_path, feed, target(tmp_path, port)) as outlets:
        await receiver.until(60)
        await asyncio.sleep(0.1)
        assert sorted(receiver.ids) == sorted(event_id(n) for n in range(1, 61))
        assert outlets.faults() == {"outlet.cmms": ""}


async def test_retry_after_is_honoured(tmp_path: Path) -> None:
    feed, clock = FakeFeed(), SystemClock()
    async with (
        receiving(script=[(503, {"retry-after": "1"})]) as receiver,
        running(tmp_path, feed, target(tmp_path, receiver.port)) as outlets,
    ):
        await begun(outlets, tmp_path)
        feed.add(change(1), change(2, "TT-102"))
        outlets.wake()
        await receiver.until(1)
        began_s = clock.monotonic_s()
        await receiver.until(3)
        assert clock.monotonic_s() - began_s > 0.9


async def test_gone_ends_it_and_a_restart_begins_where_it_ended(tmp_path: Path) -> None:
    feed, metrics = FakeFeed(), CollectorRegistry()
    async with (
        receiving(status=410) as receiver,
        running(tmp_path, feed, target(tmp_path, receiver.port), metrics=metrics) as outlets,
    ):
        await begun(outlets, tmp_path)
        feed.add(change(1))
        outlets.wake()
        await receiver.until(1)
        feed.add(change(2, "TT-102"))
        outlets.wake()
        await asyncio.sleep(0.3)
        assert len(receiver.posts) == 1
        assert "410" in outlets.faults()["outlet.cmms"]
        assert metrics.get_sample_value("dyncal_outlet_disabled", {"target": "cmms"}) == 1
    async with receiving() as receiver, running(tmp_path, feed, target(tmp_path, receiver.port)):
        await receiver.until(2)
        assert sorted(receiver.ids) == [event_id(1), event_id(2)]


async def test_a_message_that_is_refused_holds_up_only_its_alarm_and_is_given_up_in_the_end(tmp_path: Path) -> None:
    feed = FakeFeed()
    async with (
        receiving(refuse={"TT-BAD:drift"}) as receiver,
        running(tmp_path, feed, target(tmp_path, receiver.port, give_up_h=1 / 3600)) as outlets,
    ):
        await begun(outlets, tmp_path)
        feed.add(change(1, "TT-BAD"), *(change(n, f"TT-{n}") for n in range(2, 12)))
        outlets.wake()
        async with asyncio.timeout(10):
            while not any(p.message["type"] == "changes.given_up" for p in receiver.posts):
                await asyncio.sleep(0.02)
        (told,) = [p for p in receiver.posts if p.message["type"] == "changes.given_up"]
        assert told.message["data"] == {"n": 1}
        others = {p.message["data"]["source"] for p in receiver.posts if p is not told} - {"TT-BAD"}
        assert others == {f"TT-{n}" for n in range(2, 12)}
        assert sum(post.headers["webhook-id"] == event_id(1) for post in receiver.posts) > 3


async def test_one_refusal_after_a_long_outage_gives_nothing_up(tmp_path: Path) -> None:
    feed = FakeFeed()
    second_h = 1 / 3600  # stands for three days
    async with (
        receiving(status=503) as receiver,
        running(tmp_path, feed, target(tmp_path, receiver.port, give_up_h=second_h)) as o,
    ):
        await begun(o, tmp_path)
        feed.add(*(change(n, f"TT-{n}") for n in range(1, 5)))
        o.wake()
        await receiver.until(2)
        await asyncio.sleep(1.2)
        receiver.script, receiver.status = [(401, {})] * 4, 204
        async with asyncio.timeout(10):
            while o.standing()[0].n_delivered < 4:
                await asyncio.sleep(0.01)
        assert o.standing()[0].n_given_up == 0


async def test_how_a_target_stands_is_said_without_its_secrets(tmp_path: Path) -> None:
    feed = FakeFeed()
    async with (
        receiving(refuse={"TT-BAD:drift"}) as receiver,
        running(tmp_path, feed, target(tmp_path, receiver.port)) as outlets,
    ):
        await begun(outlets, tmp_path)
        feed.add(change(1, "TT-BAD"), change(2, "TT-2"))
        outlets.wake()
        async with asyncio.timeout(5):
            while (outlets.standing()[0].n_delivered, outlets.standing()[0].n_waiting) != (1, 1):
                await asyncio.sleep(0.01)
        (stands,) = outlets.standing()
        assert (stands.name, stands.way, stands.where) == ("cmms", "webhook", f"http://127.0.0.1:{receiver.port}")
        assert (stands.n_unread, stands.n_given_up) == (0, 0)
        assert stands.oldest_ns is not None
    async with receiving(status=410) as gone, running(tmp_path, feed, target(tmp_path, gone.port)) as outlets:
        async with asyncio.timeout(5):
            while outlets.standing()[0].state is not OutletState.DISABLED:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("token", ["tök3n", "two words", "tab\tbed"])
def test_a_token_that_no_header_can_hold_is_said_at_the_start_and_not_shown(tmp_path: Path, token: str) -> None:
    (tmp_path / "token").write_text(token, encoding="utf-8")
    webhook = target(tmp_path, 1, token_file=tmp_path / "token")
    metrics = OutletMetrics()
    queue = OutletQueue(tmp_path / "q.sqlite")
    with pytest.raises(InvalidSetting, match="token_file") as refused:
        Webhook.of(webhook, queue, FakeFeed(), SystemClock(), metrics)
    queue.close()
    assert token not in str(refused.value)


async def test_redirects_are_not_followed(tmp_path: Path) -> None:
    feed = FakeFeed()
    async with receiving() as elsewhere, receiving(status=307) as receiver:
        receiver.script = [(307, {"location": f"http://127.0.0.1:{elsewhere.port}/"})] * 3
        async with running(tmp_path, feed, target(tmp_path, receiver.port)) as outlets:
            await begun(outlets, tmp_path)
            feed.add(change(1))
            outlets.wake()
            await receiver.until(3)
            assert not elsewhere.posts
            assert "redirects" in outlets.faults()["outlet.cmms"]


async def test_a_receiver_that_does_not_answer_in_time_gets_it_again(tmp_path: Path) -> None:
    feed = FakeFeed()
    async with (
        receiving(delay_s=0.4) as receiver,
        running(tmp_path, feed, target(tmp_path, receiver.port, timeout_s=0.2)) as outlets,
    ):
        await begun(outlets, tmp_path)
        feed.add(change(1))
        outlets.wake()
        async with asyncio.timeout(5):
            while "no answer" not in outlets.faults()["outlet.cmms"]:
                await asyncio.sleep(0.01)
        receiver.delay_s = 0.0
        await receiver.until(1)


async def test_two_targets_get_what_each_wants(tmp_path: Path) -> None:
    feed = FakeFeed()
    async with receiving() as one, receiving() as other:
        all_ = target(tmp_path, one.port)
        high = target(tmp_path, other.port, priority="high").model_copy(update={"name": "pager"})
        async with running(tmp_path, feed, all_, high) as outlets:
            await begun(outlets, tmp_path)
            await asyncio.sleep(0.1)
            feed.add(change(1), change(2, "TT-102", priority="high"))
            outlets.wake()
            await one.until(2)
            await other.until(1)
            assert other.ids == [event_id(2)]


async def test_the_receivers_certificate_is_checked(tmp_path: Path) -> None:
    feed = FakeFeed()
    ca = authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*issued(tmp_path, ca))
    async with receiving(tls=context) as receiver:
        async with running(tmp_path, feed, target(tmp_path, receiver.port, "https")) as outlets:
            await begun(outlets, tmp_path)
            feed.add(change(1))
            outlets.wake()
            async with asyncio.timeout(5):
                while "CERTIFICATE_VERIFY_FAILED" not in outlets.faults()["outlet.cmms"]:
                    await asyncio.sleep(0.01)
            assert not receiver.posts
        async with running(tmp_path, feed, target(tmp_path, receiver.port, "https", ca_file=ca.file)):
            await receiver.until(1)


def test_files_that_cannot_be_used_are_said_at_the_start(tmp_path: Path) -> None:
    for wrong in (
        {"ca_file": tmp_path / "none"},
        {"token_file": tmp_path / "none"},
        {"secret_file": tmp_path / "none"},
    ):
        settings = target(tmp_path, 1).model_copy(update=wrong)
        with pytest.raises(InvalidSetting, match=next(iter(wrong))):
            Outlets.make(
                [settings],
                None,
                queue_file=tmp_path / "q.sqlite",
                feed=FakeFeed(),
                clock=SystemClock(),
                metrics=CollectorRegistry(),
            )
