"""The sessions of who asks: where they are signed in, and the end of one of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from dyncal.domain.access import Role
from dyncal.domain.errors import NotFound
from dyncal.ports.access import SessionRecord
from services.api.access.principal import Principal
from services.api.deps import Deps, DepsOf, needs
from services.api.schemas.sessions import OwnSessionList, OwnSessionOut, session_id

router = APIRouter(prefix="/v1/sessions", tags=["access"])

Self = Annotated[Principal, needs(Role.VIEWER, edge=True, filters=True, own=True)]


@router.get("")
def own_sessions(deps: DepsOf, principal: Self) -> OwnSessionList:
    """List the open sessions of who asks, newest first; none for those who have no user and no key."""
    book = deps.entrance.book
    found = [
        OwnSessionOut.of(each, book.seen_ns(each), here=each.digest == principal.session)
        for each in reversed(_own(deps, principal))
    ]
    return OwnSessionList(items=found)


@router.delete("/{session}", status_code=204)
def end_session(session: str, deps: DepsOf, principal: Self) -> None:
    """End one of one's own sessions, this one or another; live streams that it opened end too."""
    found = {session_id(each): each for each in _own(deps, principal)}.get(session)
    if found is None:
        raise NotFound(f"{principal.name} has no open session {session[:40]!r}")
    deps.registry.close_session(found.digest, principal.act(deps.clock, "ended by who opened it"))
    deps.entrance.book.refresh()


def _own(deps: Deps, principal: Principal) -> list[SessionRecord]:
    """Return the sessions that would let somebody in still, oldest first."""
    holder = f"user:{principal.user}" if principal.user else f"key:{principal.key_id}" if principal.key_id else None
    book, now_ns = deps.entrance.book, deps.clock.now()
    return [
        each
        for each in deps.registry.sessions()
        if each.holder == holder and now_ns < min(each.expires_ns, book.idle_ends_ns(each))
    ]
