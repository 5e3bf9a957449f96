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
from pathlib import Path

from bench import load
from bench.server import Running, running
from fuzz import campaign, document, models, peers
from fuzz.rules import LEAST_CASES
from fuzz.tally import Tally
from provision import say
from provision.errors import PlatformError
from provision.paths import cache_dir

SEED = 5
DRAINING = 4_000  # cases while it drains, at most
TEXT = json.dumps({"texts": ["what is asked before and after"]}).encode()


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
    with running(peers.stage(folder), folder, logs / "serving.log") as server:
        before, began_mib = load.ask(server.port, "/embed", TEXT), server.rss_mib()
        found = document.run(server.port, cases, seed, logs)
        tallies = [campaign.run(server.port, Tally("stage", "serving"), seed, iter(range(cases)))]
        with running(peers.router(server.port), folder, logs / "router.log") as router:
            numbers = iter(range(cases, 2 * cases))
            tallies.append(campaign.run(router.port, Tally("router", "serving"), seed, numbers))
        after, mib = load.ask(server.port, "/embed", TEXT), server.rss_mib()
        tallies.append(drained(server, seed, 2 * cases))
        code = server.process.wait(load.ANSWER_S)
    for line in (
        *found.lines(),
        *(one for tally in tallies for one in tally.lines()),
        f"memory {began_mib} -> {mib} MiB",
    ):
        say.detail(line)
    return judged(found, tallies, is_same=before == after and before[0] == 200, code=code)


def drained(server: Running, seed: int, first: int) -> Tally:
    """The process is told to stop, and asked on until nobody listens any more."""
    server.process.send_signal(signal.SIGTERM)
    numbers = itertools.islice(itertools.count(first), DRAINING)
    return campaign.run(server.port, Tally("stage", "draining"), seed, numbers, lambda: server.process.poll() is None)


def judged(found: document.Found, tallies: Sequence[Tally], *, is_same: bool, code: int) -> list[str]:
    """What is wrong with it. is_same: a text has the answer it had before; code: the process ended with it."""
    counted = {"the document": found.cases, **{one.name: one.cases for one in tallies if one.phase == "serving"}}
    return [
        *found.failures,
        *(f"schemathesis had no phase {name}" for name in found.skipped),
        *(f"{tally.name}: {one}" for tally in tallies for one in tally.wrong),
        *(f"{name}: only {count} cases" for name, count in counted.items() if count < LEAST_CASES),
        *([] if is_same else ["the same text has another answer than before"]),
        *([f"told to stop, the process ended with {code}"] if code else []),
    ]


if __name__ == "__main__":
    sys.exit(main())
