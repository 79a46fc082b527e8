"""How the outlets stand, for the pages on the system: never a secret, and of an address never more than the host."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from dyncal.domain.time import InstantNs


class OutletState(enum.StrEnum):
    """How an outlet does."""

    STARTING = "starting"
    WORKS = "works"
    FAILS = "fails"
    DISABLED = "disabled"
    """The receiver said that it wants no more (410); tried again when the service is started again."""


@dataclass(frozen=True, slots=True)
class OutletStanding:
    """How one outlet stands.

    Attributes
    ----------
    way : str
        `webhook`, `mail` or `opcua`.
    where : str
        Scheme, host and port: paths may hold secrets.
    fault : str
        What is wrong; '' where nothing is.
    n_waiting : int
        Changes taken over that are not delivered yet.
    n_unread : int
        Changes in the history that there was no room for yet, wanted or not.
    oldest_ns : int, optional
        Since when the oldest of those that wait does.
    n_delivered, n_given_up : int
        Since the outlet was new.
    """

    name: str
    way: str
    where: str
    state: OutletState
    fault: str = ""
    n_waiting: int = 0
    n_unread: int = 0
    oldest_ns: InstantNs | None = None
    n_delivered: int = 0
    n_given_up: int = 0


class OutletBoard:
    """Where the service puts what the outlets say of themselves; out of memory, from any thread."""

    def __init__(self) -> None:
        self.look: Callable[[], Sequence[OutletStanding]] = tuple

    def all(self) -> Sequence[OutletStanding]:
        """Return how every outlet stands, in the order of the settings."""
        return self.look()


def host_of(url: str) -> str:
    """Return scheme, host and port of an address; nothing of what else it may hold."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return parts.scheme
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")
