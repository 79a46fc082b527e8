"""Alarms for outlets: changes from the registry's history, and commands to the desk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from dyncal.ports.registry import Registry
from services.api.alarms import orders, shapes
from services.api.alarms.desk import AlarmDesk
from services.api.deps import Deps
from services.api.outlets.feed import Answer, Wish
from services.api.outlets.news import News, read
from services.api.schemas.alarms import CommandBody


class RegistryFeed:
    """`services.api.outlets.feed.AlarmFeed` over the registry and the desk's picture."""

    def __init__(self, registry: Registry, desk: AlarmDesk) -> None:
        self._registry, self._desk = registry, desk

    def newest(self) -> int:
        """Return the number of the newest change; 0 where there was none."""
        return self._desk.picture().number

    def after(self, number: int, limit: int) -> Sequence[News]:
        """Return the first `limit` changes with a higher number than `number`, in order."""
        found = self._registry.alarm_changes(after=number, limit=limit)
        return [read(shapes.encode(shapes.of_change(change))) for change in found]

    def standing(self) -> Sequence[News]:
        """Return all alarms that are not normal."""
        alarms = self._desk.picture().alarms
        return [read(shapes.encode(shapes.of_alarm(a, a.changed_ns))) for a in alarms if a.state != "normal"]


class DeskOrders:
    """`services.api.outlets.feed.AlarmDesk`: commands that come another way than over HTTP."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    async def carry_out(self, wish: Wish, actor: str) -> Answer:
        """Carry out, or refuse, a command. Raises `Unavailable`."""
        body = CommandBody.model_validate(
            {"command": wish.command, "reason": wish.reason, "duration_s": wish.duration_s, "upto": wish.upto}
        )
        answer = await asyncio.to_thread(orders.carry_out, self._deps, body, [wish.alarm], actor)
        outcome = msgspec.json.decode(answer)["outcomes"][0]
        return Answer(outcome["refusal"], outcome["detail"])
