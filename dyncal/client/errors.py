"""What can go wrong with a request."""

from __future__ import annotations

from typing import Any

from dyncal.domain.errors import DyncalError, Unavailable


class ApiUnavailable(Unavailable):
    """Nobody answers, or the service asks to come again; all retries are spent."""


class ApiError(DyncalError):
    """The service refused a request.

    Attributes
    ----------
    status : int
        Of the answer.
    kind : str
        The stable name of the problem, such as ``not-found``; '' where the status says all there is.
    detail : str
        What is wrong with this very request, for people.
    problem : dict
        The whole problem document.
    """

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.kind = str(problem.get("type", "")).removeprefix("urn:dyncal:problem:").replace("about:blank", "")
        self.detail = str(problem.get("detail") or problem.get("title") or "")
        super().__init__(f"{status}: {self.detail}")


class ApiNotFound(ApiError):
    """There is no such thing (404)."""


class ApiConflict(ApiError):
    """The state is another than the caller has seen (409, 412)."""


class ApiForbidden(ApiError):
    """Not for whoever asks (401, 403)."""


def error_of(status: int, problem: dict[str, Any]) -> ApiError:
    """Return the error of an answer."""
    kinds: dict[int, type[ApiError]] = {
        401: ApiForbidden,
        403: ApiForbidden,
        404: ApiNotFound,
        409: ApiConflict,
        412: ApiConflict,
    }
    return kinds.get(status, ApiError)(status, problem)
