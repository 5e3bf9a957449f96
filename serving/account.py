"""Around every request: its answer is counted, timed, and says what gave it; what nobody foresaw becomes a problem."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from serving.described import about
from serving.problems import Problems
from serving.service import SUMMARIZE, Phase, Service

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]

log = logging.getLogger("serving")


class Account:
    """Middleware; `paths` are told apart in the metrics, all others are one."""

    def __init__(self, app: AsgiApp, service: Service, problems: Problems, paths: Collection[str]) -> None:
        self._app, self._service, self._problems, self._paths = app, service, problems, paths

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s, path = time.perf_counter(), scope["path"] if scope["path"] in self._paths else "other"
        has_started = False

        async def account(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                message["headers"] = self._with_ours(message.get("headers", ()), path)
                self._service.metrics.answered(path, message["status"], time.perf_counter() - began_s)
            await send(message)

        try:
            await self._app(scope, receive, account)
        except Exception:
            log.exception("%s %s failed", scope["method"], path)
            if has_started:
                raise
            await self._problems.internal()(scope, receive, account)

    def _with_ours(self, headers: Collection[tuple[bytes, bytes]], path: str) -> list[tuple[bytes, bytes]]:
        """An answer that already says which model gave it keeps that: another may serve by now."""
        told = {name.lower() for name, _ in headers}
        ours = [(name.encode(), value.encode()) for name, value in self._headers(path).items()]
        return [*headers, *(pair for pair in ours if pair[0] not in told)]

    def _headers(self, path: str) -> dict[str, str]:
        service = self._service
        headers: dict[str, str] = {"x-stage": service.config.stage}
        seat = service.summarizer if path == SUMMARIZE and service.summarizer is not None else service.embedder
        if seat.proven is not None:
            headers |= about(seat.proven.model)
        if service.phase in (Phase.DRAINING, Phase.STOPPING):
            headers["connection"] = "close"  # a kept connection would end under its client's next request
        return headers
