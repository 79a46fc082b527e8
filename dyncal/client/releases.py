"""The client's part about the life of coefficient sets: history, policies, orders, rollouts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from dyncal.client import models as m
from dyncal.client.tagged import Tagged, tagged
from dyncal.client.transport import decoded, part

if TYPE_CHECKING:
    from dyncal.client.transport import Transport

_LOOK_S: Final = 0.25


class ReleaseMethods:
    """Methods of `dyncal.client.Client`.

    What is wanted of sets and rollouts is an order: the calibration service takes it up and answers. Those methods
    return the order as it was given; `settled` waits for the answer.
    """

    transport: Transport

    # Coefficient sets ------------------------------------------------------------------------------------------------

    def lifecycle(self, sensor: str, *, limit: int = 20) -> m.LifecycleOut:
        """Return the newest sets of a sensor with all that was done with them, and its policy."""
        return self.transport.get(f"/v1/sensors/{part(sensor)}/coefficients", m.LifecycleOut, limit=limit)

    def chain(self, sensor: str, at: str | int | None = None) -> m.SampleChainOut:
        """Return what the corrected value at an instant (ISO 8601, or nanoseconds; the newest) is traced to."""
        return self.transport.get(f"/v1/sensors/{part(sensor)}/chain", m.SampleChainOut, at=at)

    def policy(self, sensor: str) -> Tagged[m.PolicyBody]:
        """Return who releases the sets of a sensor; `ApiNotFound` if it has no policy of its own."""
        return tagged(self.transport.send("GET", f"/v1/sensors/{part(sensor)}/policy"), m.PolicyBody)

    def put_policy(
        self, sensor: str, policy: m.PolicyBody, *, etag: str | None = None, reason: str = ""
    ) -> Tagged[m.PolicyBody]:
        """Say who releases the sets of a sensor; with `etag` only if that is as seen, otherwise `ApiConflict`."""
        headers = {"Content-Type": "application/json", **({} if etag is None else {"If-Match": etag})}
        answer = self.transport.send(
            "PUT",
            f"/v1/sensors/{part(sensor)}/policy",
            query={"reason": reason},
            headers=headers,
            content=msgspec.json.encode(policy),
            again=etag is None,  # with a tag, the second of two would find the first's
        )
        return tagged(answer, m.PolicyBody)

    def approve(self, sensor: str, set_id: str, reason: str, *, key: str | None = None) -> m.OrderOut:
        """Order that a set that waits is published."""
        return self._order(
            f"/v1/sensors/{part(sensor)}/coefficients/{part(set_id)}/approve", m.DecisionBody(reason=reason), key
        )

    def reject(self, sensor: str, set_id: str, reason: str, *, key: str | None = None) -> m.OrderOut:
        """Order that a set that waits is rejected."""
        return self._order(
            f"/v1/sensors/{part(sensor)}/coefficients/{part(set_id)}/reject", m.DecisionBody(reason=reason), key
        )

    def roll_back(self, sensor: str, reason: str, *, to: str | None = None, key: str | None = None) -> m.OrderOut:
        """Order that a sensor goes back to an earlier set; by default to the one before."""
        return self._order(f"/v1/sensors/{part(sensor)}/roll-back", m.RollBackBody(reason=reason, to=to), key)

    # Orders ----------------------------------------------------------------------------------------------------------

    def order(self, order: str) -> m.OrderOut:
        """Return an order, and what became of it."""
        return self.transport.get(f"/v1/orders/{part(order)}", m.OrderOut)

    def orders(self, *, state: str | None = None, subject: str | None = None) -> Iterator[m.OrderOut]:
        """Yield orders, last changed first."""
        return self.transport.pages("/v1/orders", m.OrderPage, state=state, subject=subject, limit=200)

    def settled(self, order: m.OrderOut, wait_s: float = 30.0) -> m.OrderOut:
        """Return an order once it was answered, or as it stands after `wait_s` [s]."""
        for _ in range(int(wait_s / _LOOK_S)):
            if order.state != "waiting":
                break
            self.transport.pause(_LOOK_S)
            order = self.order(order.id)
        return order

    def _order(self, path: str, body: object, key: str | None) -> m.OrderOut:
        return self.transport.command("POST", path, m.OrderOut, body, key)

    # Rollouts --------------------------------------------------------------------------------------------------------

    def rollouts(self, *, state: str | None = None) -> Iterator[m.RolloutOut]:
        """Yield rollouts, newest first."""
        return self.transport.pages("/v1/rollouts", m.RolloutPage, state=state, limit=100)

    def rollout(self, rollout: str) -> m.RolloutOut:
        """Return a rollout and how it stands."""
        return decoded(self.transport.send("GET", f"/v1/rollouts/{part(rollout)}"), m.RolloutOut)

    def rollout_candidates(self, limit: int = 1000) -> list[m.CandidateOut]:
        """Return the verified sets that wait, in order of sensor: what a rollout can be of."""
        return self.transport.get("/v1/rollouts/candidates", m.CandidateList, limit=limit).items

    def rollout_members(
        self, rollout: str, *, state: str | None = None, stage: int | None = None
    ) -> Iterator[m.MemberOut]:
        """Yield the sensors of a rollout, in the order in which they are taken."""
        return self.transport.pages(
            f"/v1/rollouts/{part(rollout)}/members", m.MemberPage, state=state, stage=stage, limit=500
        )

    def rollout_history(self, rollout: str) -> Iterator[m.RolloutMoveOut]:
        """Yield what happened in a rollout, by whom and why, newest first."""
        return self.transport.pages(f"/v1/rollouts/{part(rollout)}/history", m.RolloutHistoryPage, limit=500)

    def begin_rollout(self, rollout: m.RolloutBody, *, key: str | None = None) -> m.OrderOut:
        """Order a rollout; the order's `subject` is its id."""
        return self._order("/v1/rollouts", rollout, key)

    def pause_rollout(self, rollout: str, reason: str, *, key: str | None = None) -> m.OrderOut:
        """Order that no further sets go out."""
        return self._order(f"/v1/rollouts/{part(rollout)}/pause", m.RolloutCommandBody(reason=reason), key)

    def resume_rollout(self, rollout: str, reason: str, *, accept: bool = False, key: str | None = None) -> m.OrderOut:
        """Order a paused rollout to go on; with `accept` as if its present stage had passed."""
        return self._order(
            f"/v1/rollouts/{part(rollout)}/resume", m.RolloutResumeBody(reason=reason, accept=accept), key
        )

    def abort_rollout(self, rollout: str, reason: str, *, key: str | None = None) -> m.OrderOut:
        """Order every sensor that was touched to go back."""
        return self._order(f"/v1/rollouts/{part(rollout)}/abort", m.RolloutCommandBody(reason=reason), key)
