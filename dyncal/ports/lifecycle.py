"""The registry's roles about the life of coefficient sets, and the orders that people give."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from dyncal.domain.lifecycle import Move, ReleasePolicy
from dyncal.domain.orders import Answer, Order, OrderState
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.access import Reach
from dyncal.ports.records import Act, SetRecord


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """The policy of a sensor, and who set it when."""

    policy: ReleasePolicy
    actor: str
    changed_ns: InstantNs


class LifecycleRegistry(Protocol):
    """The history of sets, written with their moves; and policies, written by the API service."""

    def set_moves(self, set_id: str) -> list[Move]:
        """Return the moves of a set, oldest first; none where there is no such set."""
        ...

    def sensor_moves(self, sensor: SensorId, *, before: int | None = None, limit: int = 100) -> list[Move]:
        """Return moves with number < before of all sets of a sensor, newest first."""
        ...

    def last_released(
        self, sensor: SensorId, *, until_ns: InstantNs | None = None, not_by: str = ""
    ) -> SetRecord | None:
        """Return the set that was published last: at the latest at an instant, and not by that actor."""
        ...

    def anchors(self, sensors: Collection[SensorId], *, not_by: str) -> dict[SensorId, str]:
        """Return, for those that have a policy, the id of the set that was published last: not by that actor, or before
        the policy was put.

        In a few questions, however many they are; those of which nothing was published are left out.
        """
        ...

    def coefficient_sets(self, set_ids: Collection[str]) -> dict[str, SetRecord]:
        """Return sets by id, in a few questions; those that are not there are left out."""
        ...

    def policies(self) -> dict[SensorId, PolicyRecord]:
        """Return the policies of all sensors that have one of their own."""
        ...

    def policy(self, sensor: SensorId) -> PolicyRecord | None:
        """Return the policy of a sensor, if it has one of its own."""
        ...

    def put_policy(self, sensor: SensorId, policy: ReleasePolicy | None, act: Act) -> None:
        """Replace the policy of a sensor, or take it away (None); counts as a change of sensors."""
        ...


class OrderRegistry(Protocol):
    """Orders: written by the API service, answered by calibrate in the transaction of the act (`Answer`)."""

    def put_order(self, order: Order) -> Order:
        """Add an order that waits, and audit it; return it with its revision.

        Raises
        ------
        Conflict
            If its id is taken, or `MAX_WAITING` orders wait already.
        """
        ...

    def order(self, order_id: str) -> Order:
        """Return one. Raises `NotFound`."""
        ...

    def orders(
        self,
        *,
        state: OrderState | None = None,
        subjects: Sequence[str] = (),
        before: int | None = None,
        limit: int = 100,
        reach: Reach | None = None,
    ) -> list[Order]:
        """Return orders with revision < before, last changed first; about any of `subjects` where there are some.

        Within a `reach`: those about one of its sensors, or a set of one.
        """
        ...

    def waiting_orders(self, limit: int = 1000) -> list[Order]:
        """Return the orders that wait, in the order in which they were given."""
        ...

    def answer_order(self, answer: Answer, act: Act) -> None:
        """Answer an order that leads to no act, and audit that. Raises `Conflict` if it does not wait any more."""
        ...

    def orders_revision(self) -> int:
        """Return a number that grows with every change of orders."""
        ...
