"""What the OpenAPI document says of who may call what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from services.api.access.credentials import PLAIN_COOKIE
from services.api.access.needs import Rule

_SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key, or a token of the OpenID provider that the service is told to believe.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": PLAIN_COOKIE,
        "description": "What `POST /v1/session` gives browsers; over https its name begins with `__Host-`.",
    },
}


def describe(document: dict[str, Any], rules: Iterable[Rule]) -> None:
    """Say at each operation of `document` which role it needs (`x-needs`), and how to show that one has it."""
    document["components"]["securitySchemes"] = _SCHEMES
    for rule in rules:
        operation = document["paths"].get(rule.path, {}).get(rule.method.lower())
        if operation is None:
            continue
        if rule.role is None:
            operation["security"] = []
            continue
        operation["security"] = [{name: []} for name in _SCHEMES]
        operation["x-needs"] = {"role": rule.role.value, "edge": rule.edge, "confined": _confined(rule)}


def _confined(rule: Rule) -> str:
    """Say what a key that is confined to some edges or sensors gets."""
    if rule.filters:
        return "its part"
    return "what it reaches" if "{sensor}" in rule.path or "{edge}" in rule.path else "nothing"
