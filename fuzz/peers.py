"""Our two processes as the bench's runner starts them, with the deadlines of rules.py."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bench.load import HOST
from bench.peers import OUR_LOCKS, SERVICE, Peer
from fuzz.models import EMBEDDER, SUMMARIZER
from fuzz.rules import REQUEST_S


def stage(models: Path) -> Peer:
    """With both models; it takes as long to drain as a few cases need."""
    env = {"SUMMARIZER_DIR": str(models / SUMMARIZER), "CACHE_MIB": "16", "LATENCY_TARGET_MS": "5000"}
    times = {"REQUEST_TIMEOUT_MS": str(int(REQUEST_S * 1000)), "DRAIN_S": "2"}
    return Peer("stage", "embed", OUR_LOCKS, "", EMBEDDER, "fp32", {**SERVICE, **env, **times}, health="/readyz")


def router(port: int) -> Peer:
    """In front of a stage that is production and canary at once."""
    url = f"http://{HOST}:{port}"
    env = {"HOST": HOST, "PRODUCTION_URL": url, "CANARY_URL": url, "CANARY_SHARE": "0.3", "PROBE_S": "1"}
    return dataclasses.replace(
        stage(Path()), name="router", module="serving.router", env={**env, "BODY_S": str(REQUEST_S)}
    )
