"""What our engine does where nothing else has to be done: no HTTP, no tokenizer, no client, batches as it likes them.

Run in our own environment, it is the whole script: `python -m bench.alone MODEL_FOLDER SECONDS`; prints texts a second
by measure as JSON. A target that asks for more than this cannot be met on this machine by any service around it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

from bench import texts
from serving.config import from_env
from serving.engine import Ids
from serving.model import CPU, Model, load


def main() -> None:
    """As many batches side by side as there are cores, each on one thread: how the service runs it."""
    folder, seconds = sys.argv[1], float(sys.argv[2])
    model = load(from_env({"MODEL_DIR": folder, "REQUIRED_PROVIDER": CPU, "THREADS": "1"}))
    asked = {"abstracts": texts.abstracts(), "queries": texts.queries()}
    found = {name: rate(model, batches(model, wanted), seconds) for name, wanted in asked.items()}
    sys.stdout.write(json.dumps(found))


def batches(model: Model, wanted: Sequence[str]) -> list[list[Ids]]:
    """All texts, nearest lengths together, no batch over what the engine likes."""
    made: list[list[Ids]] = [[]]
    for ids in sorted((one.ids for one in model.tokenize(wanted)), key=len):
        if made[-1] and (len(made[-1]) + 1) * len(ids) > model.engine.batch_tokens:
            made.append([])
        made[-1].append(ids)
    return made


def rate(model: Model, todo: Sequence[Sequence[Ids]], seconds: float) -> float:
    """Texts a second on all cores."""
    cores = os.cpu_count() or 1

    def work(first: int) -> int:
        done = 0
        for batch in cycle([*todo[first:], *todo[:first]]):
            if time.perf_counter() >= until:
                return done
            done += len(model.run(batch))
        return done

    began = time.perf_counter()
    until = began + seconds
    with ThreadPoolExecutor(cores) as pool:
        done = sum(pool.map(work, [len(todo) * n // cores for n in range(cores)]))
    return done / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
