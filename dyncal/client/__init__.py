"""A typed client of the HTTP API: ``from dyncal.client import Client``; needs ``pip install 'dyncal[client]'``."""

from __future__ import annotations

from dyncal.client import models
from dyncal.client.client import Client
from dyncal.client.errors import ApiConflict, ApiError, ApiForbidden, ApiNotFound, ApiUnavailable
from dyncal.client.stream import Event
from dyncal.client.tagged import Tagged

__all__ = [
    "ApiConflict",
    "ApiError",
    "ApiForbidden",
    "ApiNotFound",
    "ApiUnavailable",
    "Client",
    "Event",
    "Tagged",
    "models",
]
