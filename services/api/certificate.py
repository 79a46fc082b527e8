"""The service's own certificate, which may be replaced while it is at work."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.logging import logger
from services.api.settings import TlsSection

log = logger("api")

Stamp = tuple[tuple[int, int], ...]


class Certificate:
    """A context for TLS 1.2 and 1.3 by two files; new connections get what `renew` finds in them.

    Raises
    ------
    InvalidSetting
        If they are no certificate with its private key.
    """

    def __init__(self, settings: TlsSection) -> None:
        self._settings = settings
        self._context = _empty()
        self._stamp = self._look()
        self._load(self._context)

    def context_for(self, *_: object) -> ssl.SSLContext:
        """Return the context, as uvicorn asks for it."""
        return self._context

    def renew(self) -> bool:
        """Load files that have changed, and tell whether; where they do not fit, the old ones stay in use. Blocks."""
        stamp = self._look()
        if stamp == self._stamp:
            return False
        try:
            self._load(_empty())  # a context would be left with half of what fails
            self._load(self._context)
        except InvalidSetting as error:
            log.warning("certificate_not_renewed", error=str(error))
            return False
        self._stamp = stamp
        log.info("certificate_renewed", file=str(self._settings.cert_file))
        return True

    def _look(self) -> Stamp:
        try:
            found = [file.stat() for file in (self._settings.cert_file, self._settings.key_file)]
        except OSError:
            return ()
        return tuple((each.st_mtime_ns, each.st_ino) for each in found)

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._settings.cert_file, self._settings.key_file, password=_NO_PASSWORD)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise InvalidSetting(
                f"api.tls: {self._settings.cert_file} and {self._settings.key_file} are no certificate with its "
                f"private key, without a password: {error}"
            ) from error


def _no_password() -> str:
    """Answer for a terminal, which OpenSSL would ask."""
    raise ValueError("the private key has a password")


_NO_PASSWORD: Callable[[], str] = _no_password


def _empty() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
