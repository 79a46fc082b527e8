"""Signing in and out, and for administrators: keys and users."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from dyncal.domain.access import Role
from dyncal.domain.errors import Conflict, NotFound
from dyncal.domain.sensors import edge_id, sensor_id
from dyncal.domain.time import InstantNs, duration
from dyncal.ports.access import KeyRecord, SessionRecord, UserRecord
from services.api.access import credentials, secrets
from services.api.access.credentials import Bearer, Session
from services.api.access.needs import public
from services.api.access.principal import SCOPE_KEY, Principal
from services.api.deps import Admin, Deps, DepsOf, needs
from services.api.errors import Problem
from services.api.etags import require
from services.api.schemas.access import (
    KeyBody,
    KeyList,
    KeyOut,
    NewKeyOut,
    NewUserBody,
    PasswordBody,
    SessionOut,
    SignInBody,
    UserBody,
    UserList,
    UserOut,
)

router = APIRouter(prefix="/v1", tags=["access"])

Reason = Annotated[str, Query(max_length=500, description="Why, for the audit trail.")]
Self = Annotated[Principal, needs(Role.VIEWER, edge=True, filters=True, own=True)]


@router.get("/session", dependencies=[Depends(public)])
async def session(request: Request, deps: DepsOf) -> SessionOut:
    """Say who asks, as the service sees it; for those who are nobody too."""
    return SessionOut.of(request.scope.get(SCOPE_KEY), deps.entrance.settings.mode)


@router.post("/session", dependencies=[Depends(public)])
async def sign_in(body: SignInBody, request: Request, response: Response, deps: DepsOf) -> SessionOut:
    """Sign in: the answer sets a cookie that browsers send from then on, and that scripts cannot read.

    401 where name and password, or the key, do not count; 429 with Retry-After after too many of those.
    """
    entrance = deps.entrance
    if entrance.open:
        raise Problem(HTTPStatus.CONFLICT, "nobody signs in here: access.mode is open", kind="open")
    address = request.client.host if request.client is not None else "local"
    if body.key.get_secret_value():
        found = await entrance.identify(Bearer(body.key.get_secret_value()), address)
    else:
        found = await entrance.by_password(body.name, body.password.get_secret_value(), address)
    if found is None or found.role is Role.EDGE or not (found.key_id or found.user):
        raise Problem(HTTPStatus.FORBIDDEN, "people sign in, with a password or a key for people", kind="role")
    # Whatever session the browser had, known to somebody else perhaps, this is another one.
    token = secrets.new_session_token()
    principal = await _opened(deps, request, found, token)
    response.set_cookie(
        entrance.cookie,
        token,
        max_age=int(entrance.settings.session_s),
        path="/",
        secure=entrance.secure,
        httponly=True,
        samesite="strict",
    )
    return SessionOut.of(principal, entrance.settings.mode)


async def _opened(deps: Deps, request: Request, found: Principal, token: str) -> Principal | None:
    entrance = deps.entrance
    before = credentials.read(request.scope["headers"], entrance.cookie)
    now_ns = InstantNs(deps.clock.now())
    expires_ns = InstantNs(now_ns + duration(entrance.settings.session_s))
    holder = f"key:{found.key_id}" if found.key_id else f"user:{found.user}"
    record = SessionRecord(secrets.digest(token), holder, now_ns, now_ns, expires_ns)

    def write() -> None:
        if isinstance(before, Session):
            deps.registry.close_session(secrets.digest(before.token), found.act(deps.clock, "signed in anew"))
        most = entrance.settings.sessions_each
        deps.registry.open_session(record, found.act(deps.clock), most=most, revision=found.revision)
        entrance.book.refresh()

    try:
        await asyncio.to_thread(write)
    except Conflict as error:  # it was the password when it was looked at; those sessions have just been ended
        raise Problem(
            HTTPStatus.UNAUTHORIZED, "the user has changed meanwhile: sign in again", kind="credential"
        ) from error
    return entrance.book.of_session(token)


@router.delete("/session", status_code=204, dependencies=[Depends(public)])
def sign_out(request: Request, response: Response, deps: DepsOf) -> None:
    """Sign out: the session ends, and with it every live stream that it opened."""
    principal: Principal | None = request.scope.get(SCOPE_KEY)
    if principal is not None and principal.session:
        deps.registry.close_session(principal.session, principal.act(deps.clock))
        deps.entrance.book.refresh()
    response.delete_cookie(
        deps.entrance.cookie, path="/", secure=deps.entrance.secure, httponly=True, samesite="strict"
    )


@router.put("/session/password", status_code=204)
async def put_password(body: PasswordBody, request: Request, deps: DepsOf, principal: Self) -> None:
    """Give oneself another password; all sessions of the user end, this one too."""
    user = deps.entrance.book.picture.users.get(principal.user)
    if user is None:
        raise Problem(HTTPStatus.CONFLICT, f"{principal.name} has no password here", kind="no-password")
    address = request.client.host if request.client is not None else "local"
    await deps.entrance.by_password(user.name, body.old.get_secret_value(), address)
    password = _good(body.new.get_secret_value(), user.name)

    def write() -> None:
        changed = replace(user, hash=secrets.hash_password(password))
        deps.registry.change_user(changed, principal.act(deps.clock))
        deps.entrance.book.refresh()

    await asyncio.to_thread(write)


def _good(password: str, name: str) -> str:
    fault = secrets.password_fault(password, name)
    if fault:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"password: {fault}", kind="password")
    return password


@router.get("/keys")
def keys(deps: DepsOf, admin: Admin) -> KeyList:
    """List keys, revoked and expired ones too, oldest first."""
    del admin
    return KeyList(items=[_key(deps, key) for key in deps.registry.access_keys()])


def _key(deps: Deps, key: KeyRecord) -> KeyOut:
    return KeyOut.of(key, deps.clock.now(), deps.entrance.book.used_ns(key))


@router.post("/keys", status_code=201)
def add_key(body: KeyBody, response: Response, deps: DepsOf, admin: Admin, reason: Reason = "") -> NewKeyOut:
    """Make a key. The answer has it, this once; what is kept opens nothing."""
    now_ns, made = InstantNs(deps.clock.now()), secrets.new_key()
    record = KeyRecord(
        made.id,
        body.label,
        body.role,
        made.hash,
        now_ns,
        admin.name,
        edge=None if body.edge is None else edge_id(body.edge),
        edges=None if body.edges is None else frozenset(map(edge_id, body.edges)),
        sensors=None if body.sensors is None else frozenset(map(sensor_id, body.sensors)),
        expires_ns=None if body.expires_s is None else InstantNs(now_ns + duration(body.expires_s)),
    )
    deps.registry.add_key(record, admin.act(deps.clock, reason))
    deps.entrance.book.refresh()
    response.headers["Location"] = f"/v1/keys/{made.id}"
    return NewKeyOut(text=made.text, key=_key(deps, record))


@router.get("/keys/{key_id}")
def one_key(key_id: str, deps: DepsOf, admin: Admin) -> KeyOut:
    """Return one key, without its secret."""
    del admin
    found = {key.id: key for key in deps.registry.access_keys()}.get(key_id)
    if found is None:
        raise NotFound(f"there is no key {key_id[:40]!r}")
    return _key(deps, found)


@router.delete("/keys/{key_id}", status_code=204)
def revoke_key(key_id: str, deps: DepsOf, admin: Admin, reason: Reason = "") -> None:
    """Revoke a key, for good: what was opened with it ends, live streams too."""
    deps.registry.revoke_key(key_id[:40], admin.act(deps.clock, reason))
    deps.entrance.book.refresh()


@router.get("/users")
def users(deps: DepsOf, admin: Admin) -> UserList:
    """List users in order of name."""
    del admin
    return UserList(items=[_user(deps, user) for user in deps.registry.users()])


def _user(deps: Deps, user: UserRecord) -> UserOut:
    sessions = deps.entrance.book.picture.sessions.values()
    return UserOut.of(user, sum(each.holder == f"user:{user.name}" for each in sessions))


@router.post("/users", status_code=201)
def add_user(body: NewUserBody, response: Response, deps: DepsOf, admin: Admin, reason: Reason = "") -> UserOut:
    """Add a user."""
    hashed = secrets.hash_password(_good(body.password.get_secret_value(), body.name))
    now_ns = InstantNs(deps.clock.now())
    user = UserRecord(body.name, body.role, hashed, now_ns, now_ns)
    deps.registry.add_user(user, admin.act(deps.clock, reason))
    deps.entrance.book.refresh()
    response.headers["Location"] = f"/v1/users/{body.name}"
    response.headers["ETag"] = _tag(user)
    return _user(deps, user)


@router.get("/users/{user}")
def one_user(user: str, response: Response, deps: DepsOf, admin: Admin) -> UserOut:
    """Return one user, with an ETag."""
    del admin
    found = _found(deps, user)
    response.headers["ETag"] = _tag(found)
    return _user(deps, found)


@router.put("/users/{user}")
def put_user(
    user: str, body: UserBody, request: Request, response: Response, deps: DepsOf, admin: Admin, reason: Reason = ""
) -> UserOut:
    """Change a user; with If-Match only if they are as seen. Another password, and disabling, end the sessions."""
    found = _found(deps, user)
    require(request, _tag(found))
    hashed = found.hash
    if body.password is not None:
        hashed = secrets.hash_password(_good(body.password.get_secret_value(), found.name))
    wanted = replace(found, role=body.role, disabled=body.disabled, hash=hashed)
    changed = deps.registry.change_user(wanted, admin.act(deps.clock, reason))
    deps.entrance.book.refresh()
    response.headers["ETag"] = _tag(changed)
    return _user(deps, changed)


@router.delete("/users/{user}", status_code=204)
def remove_user(user: str, request: Request, deps: DepsOf, admin: Admin, reason: Reason = "") -> None:
    """Remove a user; the sessions end."""
    require(request, _tag(_found(deps, user)))
    deps.registry.remove_user(user, admin.act(deps.clock, reason))
    deps.entrance.book.refresh()


def _found(deps: Deps, name: str) -> UserRecord:
    found = {user.name: user for user in deps.registry.users()}.get(name)
    if found is None:
        raise NotFound(f"there is no user {name[:80]!r}")
    return found


def _tag(user: UserRecord) -> str:
    return f'"{user.revision}-{user.created_ns}"'
