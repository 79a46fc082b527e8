"""Which keys sign for this site: announced over the bus, sealed by a key that is trusted already."""

from __future__ import annotations

import asyncio

from dyncal.adapters.keyring import FollowedKeys
from dyncal.contracts import topics
from dyncal.domain.errors import MalformedMessage
from dyncal.domain.sensors import SiteId
from dyncal.runtime.logging import logger
from edge_agent.settings import EdgeSettings

_log = logger("keys")


class KeyWatch:
    """Follows what is announced, unless the settings say that people lay the keys there themselves."""

    def __init__(self, settings: EdgeSettings, site: SiteId) -> None:
        self.topic = topics.keys(site)
        self._follows = settings.signing.follow_rotation
        self._keys = FollowedKeys(settings.signing, settings.data_dir, site)

    async def take(self, topic: str, payload: bytes) -> bool:
        """Take a message; False if it is for somebody else. What is not to be followed is logged."""
        if topic != self.topic:
            return False
        if payload and self._follows:
            try:
                await asyncio.to_thread(self._keys.take, payload)
            except MalformedMessage as error:
                _log.warning("keys_not_followed", why=str(error)[:300])
            except OSError as error:
                _log.error("keys_not_kept", error=str(error))
        return True
