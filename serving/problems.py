"""Errors as RFC 9457 problem JSON: one stable `type` for each reason, so that a client need not read sentences.

Every answer of 4xx and 5xx goes through here, also those of the framework and of faults nobody foresaw; only what
is refused before it is a request (see wire) is written there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from serving import errors
from serving.metrics import Metrics

MEDIA = "application/problem+json"
URN = "urn:tandem:problem:"
CLIENT_GONE = 499  # nobody reads it; the metrics do

Member: TypeAlias = str | int | float | bool | list[dict[str, str]] | None


class WrongPart(BaseModel):
    """One thing that is wrong with a request."""

    at: str = Field(description="where: keys and positions joined by dots")
    problem: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description=f"stable: {URN}<reason>, or about:blank", examples=[f"{URN}queue-full"])
    title: str = Field(description="the same for every problem of this type")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="of this one, for people")
    errors: list[WrongPart] = Field(default=[], description="with 422: each thing that is wrong")


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of problem."""

    reason: str  # last part of its type
    status: int
    title: str

    @property
    def type(self) -> str:
        """As clients see it."""
        return URN + self.reason


NOT_FOUND = Kind("not-found", 404, "Nothing is here")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "Not with this method")
MALFORMED = Kind("malformed-request", 400, "This is not HTTP")
HEAD_LATE = Kind("head-late", 408, "The request did not come in time")
HEAD_TOO_LARGE = Kind("head-too-large", 431, "The head of the request is too large")
INTERNAL = Kind("internal", 500, "The service failed")
NOT_READY = Kind("not-ready", 503, "No model serves yet")
KINDS: Mapping[type[errors.Refused], Kind] = {
    errors.RequestInvalid: Kind("invalid-request", 422, "The request is not what was expected"),
    errors.DimensionsFixed: Kind("dimensions-fixed", 422, "The length of the vectors cannot be chosen"),
    errors.MediaUnsupported: Kind("unsupported-media-type", 415, "The body is not said to be JSON"),
    errors.TooLarge: Kind("too-large", 413, "A limit is exceeded"),
    errors.BodyTooLarge: Kind("too-large", 413, "A limit is exceeded"),
    errors.ModelUnknown: Kind("unknown-model", 404, "Another model serves here"),
    errors.QueueFull: Kind("queue-full", 429, "Too much waits"),
    errors.NotReady: NOT_READY,
    errors.Draining: Kind("draining", 503, "The process stops"),
    errors.DeadlinePassed: Kind("deadline-passed", 504, "The time for this request is over"),
    errors.ClientGone: Kind("client-gone", CLIENT_GONE, "The client left"),
}


class Problems:
    """The framework's handlers; every problem is counted."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def refused(self, _: Request, error: Exception) -> Response:
        """For Refused."""
        if not isinstance(error, errors.Refused):
            raise error
        kind = KINDS[type(error)]
        self._metrics.refused(kind.reason)
        if isinstance(error, errors.ClientGone):
            return Response(status_code=CLIENT_GONE)
        wrong: dict[str, Member] = {}
        if isinstance(error, errors.RequestInvalid):
            wrong["errors"] = [{"at": fault.at, "problem": fault.problem} for fault in error.faults]
        return respond(kind, str(error), _headers(error), wrong)

    async def http(self, _: Request, error: Exception) -> Response:
        """For what the framework refuses: no such path, no such method."""
        if not isinstance(error, HTTPException):
            raise error
        kind = {kind.status: kind for kind in (NOT_FOUND, METHOD_NOT_ALLOWED)}.get(error.status_code)
        if kind is None:
            phrase = HTTPStatus(error.status_code).phrase
            kind = Kind("other", error.status_code, phrase)
            return _written(kind, "about:blank", phrase, error.headers, {})
        self._metrics.refused(kind.reason)
        return respond(kind, str(error.detail), error.headers)

    def internal(self) -> Response:
        """For what nobody foresaw; what it was is in the log only."""
        self._metrics.refused(INTERNAL.reason)
        return respond(INTERNAL, "the log of the service says more")


def respond(
    kind: Kind, detail: str, headers: Mapping[str, str] | None = None, more: Mapping[str, Member] | None = None
) -> Response:
    """One problem, with members of its own beside the common ones."""
    return _written(kind, kind.type, detail, headers, more or {})


def _headers(error: errors.Refused) -> dict[str, str]:
    if isinstance(error, errors.QueueFull):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, errors.NotReady | errors.Draining):
        return {"Retry-After": "1"}
    # What is left of a body without end is not waited for.
    return {"Connection": "close"} if isinstance(error, errors.BodyTooLarge) else {}


def _written(
    kind: Kind, type_: str, detail: str, headers: Mapping[str, str] | None, more: Mapping[str, Member]
) -> Response:
    body = {"type": type_, "title": kind.title, "status": kind.status, "detail": detail, **more}
    return Response(orjson.dumps(body), kind.status, headers, MEDIA)
