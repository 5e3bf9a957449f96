"""`python -m serving`: one process, one stage, settings from the environment (see `config`).

SIGTERM: readyz says 503 at once, requests are answered for DRAIN_S more seconds while the cluster takes the address
out, then new ones are refused and the listener closes, what is in flight ends, exit 0. A second signal skips the wait.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping

import uvicorn

from serving import registry, traces, wire
from serving.app import create_app
from serving.config import Config, from_env
from serving.errors import ConfigInvalid
from serving.memory import settle
from serving.metrics import Metrics
from serving.service import Phase, Service
from serving.source import Sources
from serving.summaries import routes as summaries

log = logging.getLogger("serving")


def main() -> int:
    """0 drained and stopped · 2 an environment variable is wrong · 3 could not listen."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    try:
        config, access = from_env(os.environ), registry.from_env(os.environ)
    except ConfigInvalid as error:
        log.error("wrong settings: %s", error)
        return 2
    server = build(config, registry.sources(access, config), os.environ)
    settle()
    server.run()
    return 0 if server.started else 3


def build(config: Config, sources: Sources, environ: Mapping[str, str]) -> uvicorn.Server:
    """The server, wired so that the signals drain it. environ: OpenTelemetry's variables are read there."""
    service = Service(config, Metrics(config.stage), sources=sources)
    routers = summaries.routers(service)

    def drain() -> None:
        again = service.phase in (Phase.DRAINING, Phase.STOPPING)
        log.info("told to stop: %s", "now" if again else f"draining for {config.drain_s:g} s")
        service.drain()
        asyncio.get_running_loop().call_later(0 if again else config.drain_s, stop)

    def stop() -> None:
        service.stop()
        server.should_exit = True

    def take_signals() -> None:
        # The lifespan runs after uvicorn set its own handlers, which would end the process by signal, not with 0.
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, drain)

    server = uvicorn.Server(
        uvicorn.Config(
            create_app(service, take_signals, routers, summaries.SCHEMAS if routers else (), traces.settings(environ)),
            host=config.host,
            port=config.port,
            http=wire.NAME,
            access_log=False,
            log_config=None,
            timeout_keep_alive=wire.KEEP_S,
            timeout_graceful_shutdown=30,
            server_header=False,
            proxy_headers=False,
        )
    )
    return server


if __name__ == "__main__":
    raise SystemExit(main())
