"""What an edge was told to read beside what its own file says, kept over restarts."""

from __future__ import annotations

from typing import Final

from dyncal.contracts.commissioning import SourcesMessage, unseal
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.errors import InvalidInput, MalformedMessage
from dyncal.ports.signing import Verifier
from edge_agent import declared
from edge_agent.commissioning import documents
from edge_agent.settings import EdgeSection, EdgeSettings
from edge_agent.spool import disk

_MAX_BYTES: Final = 4 << 20


class Commissioned:
    """What an edge was told last, in a file: as it came, so that it is known to be signed when it is read again."""

    def __init__(
        self,
        settings: EdgeSettings,
        address: EdgeAddress,
        verifier: Verifier | None,
        kept_verifier: Verifier | None = None,
    ) -> None:
        self._settings = settings
        self._kept_verifier = kept_verifier or verifier
        self._address = address
        self.verifier = verifier
        self._path = settings.commissioned_file
        self.revision = 0
        self.section = EdgeSection(name=settings.edge.name)
        self.trouble = ""

    def load(self) -> None:
        """Read the file; what cannot be used of it is told in `trouble`, and as if it were not there."""
        try:
            payload = self._path.read_bytes() if self._path.exists() else b""
            if payload:
                found = self._opened(payload, self._kept_verifier)  # its key may have been retired since
                message, taken = documents.without_own(found, self._settings)
                self.revision, self.section = message.revision, self._section(message)
                if taken:  # they are in the edge's own file by now, which is what counts; the others go on
                    self.trouble = f"{self._path.name}: sensor {', '.join(taken)} is in the edge's own file already"
        except (OSError, InvalidInput) as error:
            self.trouble = f"{self._path.name}: {error}"

    def opened(self, payload: bytes) -> SourcesMessage:
        """Return what a payload says, if it is signed. Raises `MalformedMessage`."""
        return self._opened(payload, self.verifier)

    def _opened(self, payload: bytes, verifier: Verifier | None) -> SourcesMessage:
        if len(payload) > _MAX_BYTES:
            raise MalformedMessage(f"{len(payload)} bytes are more than the {_MAX_BYTES} allowed")
        return unseal(payload, self._address.sources_desired, SourcesMessage, verifier)

    def checked(self, message: SourcesMessage) -> EdgeSection:
        """Return the sources of a message. Raises `InvalidInput` if it is not to be followed."""
        if message.revision < self.revision:
            raise MalformedMessage(f"revision {message.revision} is older than {self.revision}, which is in force")
        section = self._section(message)
        if message.revision == self.revision and section != self.section:
            raise MalformedMessage(f"revision {message.revision} is in force already, and says something else")
        return section

    def keep(self, payload: bytes, revision: int, section: EdgeSection) -> None:
        """Have it in force from now on. Raises `OSError` if the disk does not take it: then nothing has changed."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        disk.replace(self._path, payload)
        self.revision, self.section = revision, section

    def _section(self, message: SourcesMessage) -> EdgeSection:
        section = documents.section_of(message, self._settings)
        declared.stream_configs(with_sources(self._settings, section))
        return section


def with_sources(settings: EdgeSettings, section: EdgeSection) -> EdgeSettings:
    """Return settings with another section."""
    return settings.model_copy(update={"edge": section})
