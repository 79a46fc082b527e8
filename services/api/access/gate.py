"""Says who asks, before anything is looked up."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from dyncal.domain.access import Role
from services.api.access.principal import SCOPE_KEY, Principal


class Identify:
    """Pure ASGI: leaves the principal in the scope, where `needs` finds it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let everybody who reaches the address be the same engineer."""
        if scope["type"] == "http":
            client = scope.get("client")
            scope[SCOPE_KEY] = Principal(f"http:{client[0] if client else 'local'}", Role.ENGINEER)
        await self._app(scope, receive, send)
