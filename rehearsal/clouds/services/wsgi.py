"""Serve one WSGI application on the site's address, and say so once the port listens."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable
from typing import Any

import waitress.server

from rehearsal.clouds.layout import PORTS, Tree
from rehearsal.clouds.services import middleware
from rehearsal.clouds.sites import SITES

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
THREADS = 16
"""Requests served at once: many parallel clients, and services that call each other while serving."""
CONNECTIONS = 500
IDLE_S = 300


def serve(tree: Tree, service: str, application: Application, *, prefix: str = "") -> None:
    """Listen and serve for ever. prefix: a path under which the application answers as well."""
    guarded = middleware.around(tree, service, application)
    server = _server(_below(prefix, guarded) if prefix else guarded, str(SITES[tree.site].address), PORTS[service])
    announce(tree, service)
    server.run()


def listen(application: Application, address: str, port: int, *, threads: int) -> None:
    """Serve something small beside a service, for ever."""
    _server(application, address, port, threads).run()


def _server(application: Application, address: str, port: int, threads: int = THREADS) -> Any:
    return waitress.server.create_server(
        application,
        host=address,
        port=port,
        threads=threads,
        connection_limit=CONNECTIONS,
        channel_timeout=IDLE_S,
        ident="tandem",
        clear_untrusted_proxy_headers=True,
    )


def announce(tree: Tree, service: str) -> None:
    """The service listens: leave its pid where `trees.wait_ready` looks. What start-up made will live as long as it."""
    gc.collect()
    gc.freeze()
    gc.enable()
    file = tree.ready_file(service)
    file.parent.mkdir(exist_ok=True)
    file.write_text(str(os.getpid()))


def _below(prefix: str, application: Application) -> Application:
    def moved(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == prefix or path.startswith(prefix + "/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
            environ["PATH_INFO"] = path[len(prefix) :] or "/"
        return application(environ, start_response)

    return moved
