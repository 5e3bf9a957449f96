"""`python -m fuzz [--cases N] [--seed N] [--models FOLDER]`: the real service on loopback, both fuzzers.

Exit 1 for an answer that rules.py does not allow, a connection that hangs, a process that answers otherwise than
before, or fewer than so many cases: a fuzzer that did nothing must not be green.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import load
from bench.peers import OUR_LOCKS, SERVICE, Peer
from bench.server import Running, running
from fuzz import campaign, document, models
from fuzz.rules import LEAST_CASES, REQUEST_S
from fuzz.tally import Tally
from provision import say
from provision.errors import PlatformError
from provision.paths import cache_dir

SEED = 5
DRAINING = 400  # cases while it drains, at most
TEXT = json.dumps({"texts": ["what is asked before and after"]}).encode()
LIMITS = {"REQUEST_TIMEOUT_MS": str(int(REQUEST_S * 1000)), "DRAIN_S": "2", "LATENCY_TARGET_MS": "5000"}


def main(argv: Sequence[str] | None = None) -> int:
    """0 nothing found · 1 something, or too little was tried."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=LEAST_CASES, help=f"of each of the two, at least {LEAST_CASES}")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--models", type=Path, help="folder with embedder/ and summarizer/; made when left out")
    args = parser.parse_args(argv)
    try:
        wrong = run(args.cases, args.seed, args.models or models.prepare())
    except PlatformError as error:
        say.failure(error)
        return error.exit_code
    for one in wrong:
        say.line("fuzz", "fail", one)
    return int(bool(wrong))


def run(cases: int, seed: int, folder: Path) -> list[str]:
    """Everything that is wrong, in words."""
    logs = cache_dir() / "fuzz" / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with running(service(folder), folder, logs / "serving.log") as server:
        before, began_mib = load.ask(server.port, "/embed", TEXT), server.rss_mib()
        found = document.run(server.port, cases, seed, logs)
        numbers = iter(range(cases))
        serving = campaign.run(server.port, "serving", seed, numbers, lambda: True)
        after, mib = load.ask(server.port, "/embed", TEXT), server.rss_mib()
        draining = drained(server, seed, cases)
        code = server.process.wait(load.ANSWER_S)
    for line in (*found.lines(), *serving.lines(), *draining.lines(), f"memory {began_mib} -> {mib} MiB"):
        say.detail(line)
    wrong = judged(found, [serving, draining], before == after and before[0] == 200)
    return wrong + ([f"told to stop it ended with {code}"] if code else [])


def service(folder: Path) -> Peer:
    """Ours, as the bench starts it, with both models."""
    env = {**SERVICE, "CACHE_MIB": "16", "SUMMARIZER_DIR": str(folder / models.SUMMARIZER), **LIMITS}
    return replace(Peer("ours", "embed", OUR_LOCKS, "", models.EMBEDDER, "fp32"), env=env)


def drained(server: Running, seed: int, first: int) -> Tally:
    """The process is told to stop, and asked on until nobody listens any more."""
    server.process.send_signal(signal.SIGTERM)
    numbers = itertools.islice(itertools.count(first), DRAINING)
    return campaign.run(server.port, "draining", seed, numbers, lambda: server.process.poll() is None)


def judged(found: document.Found, tallies: Sequence[Tally], is_same: bool) -> list[str]:
    """What is wrong with it."""
    serving = tallies[0].cases
    return [
        *found.failures,
        *(f"schemathesis had no phase {name}" for name in found.skipped),
        *(f"{tally.phase}: {one}" for tally in tallies for one in tally.wrong),
        *([f"only {found.cases} cases by the document"] if found.cases < LEAST_CASES else []),
        *([f"only {serving} cases by bytes"] if serving < LEAST_CASES else []),
        *([] if is_same else ["the same text has another answer than before"]),
    ]


if __name__ == "__main__":
    sys.exit(main())
