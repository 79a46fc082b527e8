"""The registry's part about the life of coefficient sets, and orders."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dyncal.adapters.registry import desired, moves, orders, sets
from dyncal.adapters.registry.database import Database
from dyncal.domain.lifecycle import Move, ReleasePolicy
from dyncal.domain.orders import Answer, Order, OrderState
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.access import Reach
from dyncal.ports.lifecycle import PolicyRecord
from dyncal.ports.records import Act, SetRecord


class SqlLifecycle:
    """`dyncal.ports.lifecycle` over SQLAlchemy; every method also raises `StoreUnavailable`."""

    _db: Database

    def set_moves(self, set_id: str) -> list[Move]:
        """Return the moves of a set, oldest first; none where there is no such set."""
        with self._db.read() as connection:
            return moves.of_set(connection, set_id)

    def sensor_moves(self, sensor: SensorId, *, before: int | None = None, limit: int = 100) -> list[Move]:
        """Return moves with number < before of all sets of a sensor, newest first."""
        with self._db.read() as connection:
            return moves.of_sensor(connection, sensor, before, limit)

    def last_released(
        self, sensor: SensorId, *, until_ns: InstantNs | None = None, not_by: str = ""
    ) -> SetRecord | None:
        """Return the set that was published last: at the latest at an instant, and not by that actor."""
        with self._db.read() as connection:
            found = moves.last_released(connection, sensor, until_ns, not_by)
            return None if found is None else sets.one(connection, found)

    def anchors(self, sensors: Collection[SensorId], *, not_by: str) -> dict[SensorId, str]:
        """Return the sets that were published last: not by that actor, or before the sensor's policy was put."""
        with self._db.read() as connection:
            return moves.anchors(connection, sensors, not_by)

    def coefficient_sets(self, set_ids: Collection[str]) -> dict[str, SetRecord]:
        """Return sets by id; those that are not there are left out."""
        with self._db.read() as connection:
            return desired.records(connection, set_ids)

    def policies(self) -> dict[SensorId, PolicyRecord]:
        """Return the policies of all sensors that have one of their own."""
        with self._db.read() as connection:
            return moves.policies(connection)

    def policy(self, sensor: SensorId) -> PolicyRecord | None:
        """Return the policy of a sensor, if it has one of its own."""
        with self._db.read() as connection:
            return moves.policy(connection, sensor)

    def put_policy(self, sensor: SensorId, policy: ReleasePolicy | None, act: Act) -> None:
        """Replace the policy of a sensor, or take it away (None). Raises `NotFound` where there is none to take."""
        with self._db.write() as connection:
            moves.put_policy(connection, sensor, policy, act)

    def put_order(self, order: Order) -> Order:
        """Add an order that waits; return it with its revision. Raises `Conflict`."""
        with self._db.write() as connection:
            return orders.put(connection, order)

    def order(self, order_id: str) -> Order:
        """Return one. Raises `NotFound`."""
        with self._db.read() as connection:
            return orders.one(connection, order_id)

    def orders(
        self,
        *,
        state: OrderState | None = None,
        subjects: Sequence[str] = (),
        before: int | None = None,
        limit: int = 100,
        reach: Reach | None = None,
    ) -> list[Order]:
        """Return orders with revision < before, last changed first; about any of `subjects` where there are some."""
        with self._db.read() as connection:
            return orders.several(connection, state, subjects, before, limit, reach)

    def waiting_orders(self, limit: int = 1000) -> list[Order]:
        """Return the orders that wait, in the order in which they were given."""
        with self._db.read() as connection:
            return orders.waiting(connection, limit)

    def answer_order(self, answer: Answer, act: Act) -> None:
        """Answer an order that leads to no act, and audit that. Raises `Conflict` if it does not wait any more."""
        with self._db.write() as connection:
            orders.answer_alone(connection, answer, act)

    def orders_revision(self) -> int:
        """Return a number that grows with every change of orders."""
        with self._db.read() as connection:
            return orders.revision(connection)
