"""What every MessageBus must do, whatever is behind it; each driver gives `BusHarness`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from dyncal.ports.message_bus import Delivery, MessageBus, Will

WAIT_S = 15.0

OpenBus = Callable[..., AbstractAsyncContextManager[MessageBus]]


@dataclass
class BusHarness:
    """How to open a bus: `client_id`, `will`, `clean`."""

    open: OpenBus


async def take(bus: MessageBus, n: int, *, ack: bool = True) -> list[Delivery]:
    """Return the next `n` deliveries."""
    taken: list[Delivery] = []
    async with asyncio.timeout(WAIT_S):
        deliveries = bus.deliveries()
        while len(taken) < n:
            delivery = await anext(deliveries)
            taken.append(delivery)
            if ack:
                delivery.ack()
    return taken


async def ready(*buses: MessageBus) -> None:
    """Return when all are connected."""
    async with asyncio.timeout(WAIT_S):
        for bus in buses:
            await bus.wait_connected()


class BusConformance:
    """Inherit, and give a fixture `harness`."""

    async def test_delivers_in_order_with_payloads_intact(self, harness: BusHarness) -> None:
        async with harness.open("a", clean=True) as a, harness.open("b", clean=True) as b:
            await ready(a, b)
            await b.subscribe(["t/+/x"])
            payloads = [bytes([i]) * (i + 1) for i in range(100)]
            await asyncio.gather(*(a.publish("t/1/x", payload) for payload in payloads))
            await a.publish("t/1/y", b"not wanted")
            got = await take(b, 100)
            assert [d.payload for d in got] == payloads
            assert {(d.topic, d.retained) for d in got} == {("t/1/x", False)}

    async def test_retained_message_reaches_a_later_subscriber_and_can_be_cleared(self, harness: BusHarness) -> None:
        async with harness.open("a", clean=True) as a:
            await ready(a)
            await a.publish("r/1", b"kept", retain=True)
            await a.publish("r/2", b"gone", retain=True)
            await a.publish("r/2", b"", retain=True)
            async with harness.open("b", clean=True) as b:
                await ready(b)
                await b.subscribe(["r/#"])
                (delivery,) = await take(b, 1)
                assert (delivery.topic, delivery.payload, delivery.retained) == ("r/1", b"kept", True)
                await a.publish("r/2", b"live")
                (delivery,) = await take(b, 1)
                assert (delivery.topic, delivery.payload, delivery.retained) == ("r/2", b"live", False)

    async def test_retained_messages_of_others_do_not_come(self, harness: BusHarness) -> None:
        async with harness.open("a", clean=True) as a:
            await ready(a)
            await a.subscribe(["mine/+"])
            await a.publish("mine/1", b"a's", retain=True)
            await take(a, 1)
            async with harness.open("b", clean=True) as b:
                await ready(b)
                await b.subscribe(["other/+"])
                await a.publish("other/1", b"b's")
                (delivery,) = await take(b, 1)
                assert (delivery.topic, delivery.payload) == ("other/1", b"b's")

    async def test_what_is_taken_back_does_not_come_any_more(self, harness: BusHarness) -> None:
        async with harness.open("a", clean=True) as a:
            await ready(a)
            async with harness.open("b") as b:
                await ready(b)
                await b.subscribe(["u/1", "u/2", "u/3"])
                b.unsubscribe(["u/1"])
                await b.subscribe(["u/4"])  # answered after it
                for n in (1, 2, 4):
                    await a.publish(f"u/{n}", b"x")
                assert [d.topic for d in await take(b, 2)] == ["u/2", "u/4"]
            async with harness.open("b") as b:
                b.unsubscribe(["u/2"])  # perhaps before there is a connection: the session has it still
                await ready(b)
                await b.subscribe(["u/5"])
                for n in (1, 2, 3):
                    await a.publish(f"u/{n}", b"y")
                assert [d.topic for d in await take(b, 1)] == ["u/3"]

    async def test_session_keeps_messages_while_the_client_is_away(self, harness: BusHarness) -> None:
        async with harness.open("a", clean=True) as a:
            await ready(a)
            async with harness.open("b") as b:
                await ready(b)
                await b.subscribe(["s/#"])
            await a.publish("s/1", b"while away")
            async with harness.open("b") as b:
                (delivery,) = await take(b, 1)
                assert delivery.payload == b"while away"

    async def test_clean_close_publishes_no_will(self, harness: BusHarness) -> None:
        async with harness.open("watch", clean=True) as watch:
            await ready(watch)
            await watch.subscribe(["w/#"])
            async with harness.open("a", clean=True, will=Will("w/a", b"gone")) as a:
                await ready(a)
            async with harness.open("b", clean=True) as b:
                await ready(b)
                await b.publish("w/b", b"after")
            (delivery,) = await take(watch, 1)
            assert delivery.payload == b"after"

    async def test_what_is_posted_goes_out_in_order_and_arrives_together_or_not(self, harness: BusHarness) -> None:
        n = 2_500  # more than any window
        async with harness.open("a", clean=True) as a, harness.open("b", clean=True) as b:
            await ready(a, b)
            await b.subscribe(["p/#"])
            answers = [a.post("p/1", b"%d" % k) for k in range(n)]
            seen: list[bytes] = []
            async with asyncio.timeout(WAIT_S):
                async for together in b.arrivals():
                    seen += [delivery.payload for delivery in together]
                    for delivery in together:
                        delivery.ack()
                    if len(seen) >= n:
                        break
                await asyncio.gather(*answers)
            assert seen == [b"%d" % k for k in range(n)]
            a.post("p/1", b"last")
            (last,) = await take(b, 1)  # by the other iterator
            assert last.payload == b"last"

    async def test_deliveries_end_with_the_bus(self, harness: BusHarness) -> None:
        async with harness.open("a", clean=True) as a:
            await ready(a)

            async def count() -> int:
                return len([delivery async for delivery in a.deliveries()])

            consumer = asyncio.create_task(count())
            await asyncio.sleep(0)
        async with asyncio.timeout(WAIT_S):
            assert await consumer == 0


class RedeliveryConformance(BusConformance):
    """For brokers that keep what was delivered and not acknowledged when a connection ends."""

    async def test_unacknowledged_message_comes_again(self, harness: BusHarness) -> None:
        async with harness.open("a", clean=True) as a:
            await ready(a)
            async with harness.open("b") as b:
                await ready(b)
                await b.subscribe(["u/#"])
                await a.publish("u/1", b"one")
                await a.publish("u/1", b"two")
                first, second = await take(b, 2, ack=False)
                second.ack()
                second.ack()  # twice does no harm
            first.ack()  # too late does no harm
            async with harness.open("b") as b:
                (again,) = await take(b, 1)
                assert again.payload == b"one"
                await a.publish("u/1", b"three")
                (last,) = await take(b, 1)
                assert last.payload == b"three"
