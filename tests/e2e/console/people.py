"""People at the console of a plant: users, and browsers that have signed in already."""

from __future__ import annotations

from playwright.async_api import StorageState, StorageStateCookie

from dyncal.domain.access import Role
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.access import SessionRecord, UserRecord
from dyncal.ports.records import Act
from services.api.access import secrets
from services.api.access.credentials import PLAIN_COOKIE
from tests.integration.api.plant import Plant

PASSWORD = "battery staple horse"


def known(plant: Plant, role: Role) -> str:
    """Return the name of a user with that role, added where there is none yet."""
    name, now_ns = f"some-{role}", plant.clock.now()
    if name not in {user.name for user in plant.registry.users()}:
        user = UserRecord(name, role, secrets.hash_password(PASSWORD), now_ns, now_ns)
        plant.registry.add_user(user, Act("test", now_ns))
    return name


def signed_in(plant: Plant, role: Role) -> StorageState:
    """Return what a browser holds after a user with that role has signed in."""
    token, now_ns = secrets.new_session_token(), plant.clock.now()
    ends_ns = InstantNs(now_ns + 3600 * NS_PER_S)
    record = SessionRecord(secrets.digest(token), f"user:{known(plant, role)}", now_ns, now_ns, ends_ns)
    plant.registry.open_session(record, Act("test", now_ns), most=20)
    plant.service.entrance.book.refresh()
    cookie: StorageStateCookie = {
        "name": PLAIN_COOKIE,
        "value": token,
        "domain": "127.0.0.1",
        "path": "/",
        "expires": -1,
        "httpOnly": True,
        "secure": False,
        "sameSite": "Strict",
    }
    return {"cookies": [cookie], "origins": []}
