"""The history of alarms is kept for a time, and then forgotten; the audit trail is not."""

from __future__ import annotations

from typing import Protocol

from dyncal.domain.time import InstantNs


class AlarmRetention(Protocol):
    """Forgets the history of alarms; used by the API service alone."""

    def forget_alarms(self, before_ns: InstantNs, now_ns: InstantNs, *, limit: int, actor: str) -> int:
        """Forget changes of alarms before an instant, and floods that ended before it; return how many changes.

        At most `limit` changes, the oldest, with a line in the audit trail: call again until it is 0. Changes are
        forgotten in the order of their numbers; one that a clock stamped later than now does not keep those before it.
        Alarms as they stand are not touched.
        """
        ...

    def alarms_forgotten_ns(self) -> InstantNs | None:
        """Return the instant from which on the history is whole; None where nothing was ever forgotten."""
        ...
