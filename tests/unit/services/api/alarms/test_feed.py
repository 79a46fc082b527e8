from __future__ import annotations

from dyncal.testing.registry import S1, S2
from services.api.alarms.feed import DeskOrders, RegistryFeed
from services.api.outlets.feed import AlarmDesk, AlarmFeed, Answer, Wish
from tests.unit.services.api.conftest import Api
from tests.unit.services.api.routers.test_alarms import report


async def test_outlets_get_every_change_and_give_the_same_commands(api: Api) -> None:
    feed: AlarmFeed = RegistryFeed(api.registry, api.deps.desk)
    desk: AlarmDesk = DeskOrders(api.deps)
    assert (feed.newest(), list(feed.after(0, 10)), list(feed.standing())) == (0, [], [])
    report(api)
    report(api, S2)
    report(api, S2, holds=False)
    assert await desk.carry_out(Wish(f"{S2}:drift", "acknowledge"), "opcua:anna") == Answer()
    refused = await desk.carry_out(Wish(f"{S2}:drift", "acknowledge"), "opcua:anna")
    assert refused == Answer("nothing_to_acknowledge", "it is normal")
    assert feed.newest() == 4
    assert [(n.number, n.event, n.actor) for n in feed.after(2, 10)] == [
        (3, "cleared", "calibrate"),
        (4, "acknowledged", "opcua:anna"),
    ]
    assert [n.id for n in feed.standing()] == [f"{S1}:drift"]
