"""The first key: without it nobody could make another."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from dyncal.domain.access import Role
from dyncal.domain.time import InstantNs
from dyncal.ports.access import AccessRegistry, KeyRecord
from dyncal.ports.clock import Clock
from dyncal.ports.records import Act
from dyncal.runtime.logging import logger
from services.api.access import secrets

LABEL: Final = "first key"

_WELCOME: Final = """
  Nobody could sign in yet, so here is a key for you. It is shown this once and kept nowhere:

      {key}

  It may do everything. Sign in with it at the console, or send it as `Authorization: Bearer KEY`; then make users
  and keys for less, and revoke this one: dyncal access --help.

"""

log = logger("api")


def show(text: str) -> None:
    """Print for whoever started the program; the log, which is kept, never has it."""
    sys.stdout.write(text)
    sys.stdout.flush()


def make_first_key(registry: AccessRegistry, clock: Clock, tell: Callable[[str], None] = show) -> bool:
    """Make a key of an administrator if there is neither a key nor a user, and tell it; return whether. Blocks."""
    if registry.access_keys() or registry.users():
        return False
    made, now_ns = secrets.new_key(), InstantNs(clock.now())
    record = KeyRecord(made.id, LABEL, Role.ADMIN, made.hash, now_ns, "first start")
    if not registry.add_first_key(record, Act("first start", now_ns, "nobody could sign in")):
        return False  # another process was quicker, and has told its own
    tell(_WELCOME.format(key=made.text))
    log.info("first_key_made", key=made.id)
    return True
