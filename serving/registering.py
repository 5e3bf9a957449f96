"""`python -m serving.registering MODEL=FOLDER...`: the image's own models, registered, and named by every stage that
has no alias yet. Once per image; repeated, it changes nothing. MLflow lies across the link and may come up later.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from serving import lifecycle, registry
from serving.errors import ConfigInvalid, ServingError, TrackingFailed, TrackingRefused
from serving.lifecycle import Note
from serving.tracking import Tracking

DEADLINE_S = 1800.0  # a whole platform may be coming up beside this
EVERY_S = 5.0

log = logging.getLogger("serving")


def main(words: Sequence[str]) -> int:
    """0 registered · 1 not, for the reason logged · 2 an argument or a variable is wrong."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    pairs = {model: folder for model, _, folder in (word.partition("=") for word in words)}
    if not pairs or not pairs.keys() <= set(lifecycle.MODELS) or not all(pairs.values()):
        log.error("expected MODEL=FOLDER, models are: %s", " ".join(lifecycle.MODELS))
        return 2
    try:
        mlflow = registry.tracking(registry.from_env(os.environ))
        for model, folder in pairs.items():
            insist(partial(_seed, mlflow, model, Path(folder)))
    except ConfigInvalid as error:
        log.error("wrong settings: %s", error)
        return 2
    except ServingError as error:
        log.error("%s", error)
        return 1
    return 0


def insist(
    call: Callable[[], None],
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Again while MLflow cannot be reached, until the deadline. What it refuses is refused: no second try."""
    deadline = now() + DEADLINE_S
    while True:
        try:
            return call()
        except TrackingRefused:
            raise
        except TrackingFailed as error:
            if now() >= deadline:
                raise
            log.info("%s; again in %g s", error, EVERY_S)
        sleep(EVERY_S)


def _seed(mlflow: Tracking, model: str, folder: Path) -> None:
    note = Note("the image", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "the first version of this platform")
    version = lifecycle.register(mlflow, model, folder, note)
    named = lifecycle.assign(mlflow, version, note)
    log.info("%s: version %s; %s", model, version.number, f"now named by {', '.join(named)}" if named else "as it was")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
