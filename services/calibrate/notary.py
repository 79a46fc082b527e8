"""Sign where the audit trail ends, from time to time, and keep that outside of the registry too."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dyncal.contracts.trail import GENESIS, checkpoint_line, read_checkpoint, sign_head
from dyncal.domain.errors import MalformedMessage, Unavailable
from dyncal.domain.sensors import SiteId
from dyncal.ports.clock import Clock
from dyncal.ports.signing import Signer
from dyncal.ports.trail import Checkpoint, CheckpointRegistry, Head
from dyncal.runtime.logging import logger

FILE = Path("audit") / "checkpoints.jsonl"
"""Below `data_dir`: every checkpoint that this service has signed."""

_log = logger("notary")


class Notary:
    """Follows the trail from the last checkpoint, and signs its end if all in between fits.

    It goes by its own file: what the registry says of earlier checkpoints may have been written by somebody else.
    """

    def __init__(
        self, registry: CheckpointRegistry, signer: Signer, clock: Clock, site: SiteId, data_dir: Path
    ) -> None:  # fmt: skip
        self._registry, self._signer, self._clock, self._site = registry, signer, clock, site
        self._file = data_dir / FILE
        self._at: Head | None = None
        self._misfit = 0
        self._lock = threading.Lock()

    @asynccontextmanager
    async def at_work(self, interval_s: float) -> AsyncIterator[None]:
        """Sign at every interval meanwhile, and at the end."""

        async def run() -> None:
            while True:
                await asyncio.sleep(interval_s)
                await asyncio.to_thread(self.attempt)

        task = asyncio.create_task(run(), name="calibrate-notary")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.to_thread(self.attempt)

    def attempt(self) -> Checkpoint | None:
        """Sign if the trail has grown, as far as disk and registry allow; blocks."""
        with self._lock:
            try:
                return self.sign()
            except (Unavailable, OSError, MalformedMessage) as error:
                _log.warning("audit_not_signed", error=str(error))
                return None

    def sign(self) -> Checkpoint | None:
        """Sign the trail's end, and return the checkpoint; None if nothing was added or it does not fit.

        Raises
        ------
        StoreUnavailable
            If the registry cannot be reached.
        OSError
            If the file cannot be read or written.
        MalformedMessage
            If its last line is no checkpoint.
        """
        if self._at is None:
            self._at = self._last_kept()
        head, misfit = self._registry.audit_follows(self._at)
        if misfit is not None:
            if misfit != self._misfit:
                _log.error("audit_trail_does_not_fit", entry=misfit, advice="dyncal audit verify")
            self._misfit = misfit
            return None
        self._misfit = 0
        if head == self._at:
            return None
        checkpoint = sign_head(head, self._site, self._clock.now(), self._signer)
        self._keep(checkpoint)
        self._registry.add_checkpoint(checkpoint)
        self._at = head
        # Logs are collected elsewhere: one more place that whoever writes the registry does not reach.
        _log.info("audit_checkpoint", number=head.number, digest=head.digest, key_id=checkpoint.key_id)
        return checkpoint

    def _last_kept(self) -> Head:
        try:
            lines = self._file.read_bytes().splitlines()
        except FileNotFoundError:
            return GENESIS
        if not lines:
            return GENESIS
        last = read_checkpoint(lines[-1])
        return Head(last.number, last.digest)

    def _keep(self, checkpoint: Checkpoint) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("ab") as stream:
            stream.write(checkpoint_line(checkpoint))
            stream.flush()
            os.fsync(stream.fileno())
