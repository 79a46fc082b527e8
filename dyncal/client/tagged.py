"""Things with the ETag by which a change says what it has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import httpx

from dyncal.client.transport import decoded

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tagged(Generic[T]):
    """Something with the ETag by which a change says what it has seen."""

    value: T
    etag: str


def tagged(answer: httpx.Response, kind: type[T]) -> Tagged[T]:
    """Return what an answer has, with its tag."""
    return Tagged(decoded(answer, kind), answer.headers["etag"])
