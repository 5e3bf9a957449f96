"""`python -m serving.router`: one process, settings from the environment (see `config`, and `serving.registry`).

SIGTERM: readyz says 503, requests are passed on for DRAIN_S more seconds, then the listener closes, what is under way
ends, exit 0. A second signal skips the wait.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from functools import partial

import httpx
import uvicorn

from serving import registry, wire
from serving.errors import ConfigInvalid
from serving.memory import settle
from serving.registry import Access
from serving.router.app import Drain, build, create_app
from serving.router.config import Config, from_env
from serving.router.guard import TakeBack, alias_back

log = logging.getLogger("serving.router")


def main() -> int:
    """0 drained and stopped · 2 an environment variable is wrong · 3 could not listen."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line a request
    try:
        config, access = from_env(os.environ), registry.from_env(os.environ)
    except ConfigInvalid as error:
        log.error("wrong settings: %s", error)
        return 2
    server = serve(config, access)
    settle()
    server.run()
    return 0 if server.started else 3


def serve(config: Config, access: Access) -> uvicorn.Server:
    """The server, wired so that the signals drain it."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    drain = Drain()
    router = build(config, httpx.AsyncClient(limits=limits, trust_env=False), _take_back(access))

    def stop() -> None:
        server.should_exit = True

    def told() -> None:
        asyncio.get_running_loop().call_later(0 if drain.is_on else config.drain_s, stop)
        drain.is_on = True

    def take_signals() -> None:
        # The lifespan runs after uvicorn set its own handlers, which would end the process by signal, not with 0.
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, told)

    server = uvicorn.Server(
        uvicorn.Config(
            create_app(router, drain, take_signals),
            host=config.host,
            port=config.port,
            http=wire.NAME,
            access_log=False,
            log_config=None,
            timeout_keep_alive=wire.KEEP_S,
            timeout_graceful_shutdown=30,
            server_header=False,
            date_header=False,
        )
    )
    return server


def _take_back(access: Access) -> TakeBack:
    if not access.mlflow_tracking_uri:
        return lambda _model, _version, _breach: "no registry is known: the share alone is taken"
    return partial(alias_back, registry.tracking(access))


if __name__ == "__main__":
    raise SystemExit(main())
