"""What the paths' own handlers are asked through: nothing between the server and them.

FastAPI documents the paths, and answers for whatever is not one of them. What it does for each request on the way to a
handler (telemetry, body limits, two passes over the routes, exit stacks, dependencies) is a large part of what a query
costs on the event loop, and none of these handlers uses it: each takes a request, reads its body within bounds of its
own (see asking), and gives a response.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from serving import traces
from serving.errors import Refused
from serving.problems import Problems

Handler = Callable[[Request], Awaitable[Response]]
Handlers = Mapping[tuple[str, str], Handler]  # by method and path


def handlers(routers: Sequence[APIRouter]) -> Handlers:
    """Of all paths that the routers document."""
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return {(method, route.path): route.endpoint for route in routes for method in route.methods or ()}


class Direct:
    """An ASGI application that has the handlers, around one that has the rest."""

    def __init__(self, app: ASGIApp, handlers: Handlers, problems: Problems) -> None:
        self._app, self._handlers, self._problems = app, handlers, problems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI call."""
        handler = self._handlers.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await handler(request)
        except Refused as error:
            response = await self._problems.refused(request, error)
        traces.handled(scope, response)
        await response(scope, receive, send)
