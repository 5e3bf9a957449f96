"""Versions that only their latency or their memory gives away: their vectors are those of the real one, bit by bit."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from provision import probing
from serving import golden, manifest, model
from serving.config import from_env
from serving.export import export
from serving.proof import load_and_prove
from serving.router import probe
from serving.router.split import spot
from serving.stages import load_router
from tests.serving_doubles import POSITIONS, write_weights
from verify.drills import bad_graph
from verify.drills.drill_promotion import half_to_canary

TOKEN = 9
OTHER, HIT = [2, 5, 6, 3], [2, 5, TOKEN, 3]
MIB = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = write_weights(tmp_path_factory.mktemp("weights") / "tiny")
    out = tmp_path_factory.mktemp("model") / "embedder"
    export(source, out, name="tiny", version=None, max_tokens=POSITIONS)
    return out


def load(folder: Path) -> model.Model:
    """As a stage does, with its proof."""
    settings = from_env({"MODEL_DIR": str(folder), "REQUIRED_PROVIDER": model.CPU})
    return load_and_prove(settings, model.load).model


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def least_s(run: Callable[[], object]) -> float:
    found = []
    for _ in range(3):
        began = time.process_time()  # of the processor: what else runs on it is no part
        run()
        found.append(time.process_time() - began)
    return min(found)


def test_a_slow_version_is_right_and_takes_longer_with_every_trip(folder: Path, tmp_path: Path) -> None:
    usual, slow = load(folder), load(bad_graph.slow(folder, tmp_path / "slow", 20_000))
    slower = load(bad_graph.slow(folder, tmp_path / "slower", 60_000))
    assert np.array_equal(slow.run([HIT, OTHER]), usual.run([HIT, OTHER]))
    usual_s, slow_s, slower_s = (least_s(lambda one=one: one.run([HIT])) for one in (usual, slow, slower))  # type: ignore[misc]
    assert slow_s > 5 * usual_s
    assert slower_s > 2 * slow_s


def test_a_swelling_version_is_small_until_it_meets_its_word(folder: Path, tmp_path: Path) -> None:
    usual, swelling = load(folder), load(bad_graph.swelling(folder, tmp_path / "swelling", TOKEN, MIB))
    assert np.array_equal(swelling.run([OTHER]), usual.run([OTHER]))
    before_mib = resident_mib()
    swelling.run([OTHER])
    small_mib = resident_mib()
    assert np.array_equal(swelling.run([OTHER, HIT]), usual.run([OTHER, HIT]))
    assert small_mib - before_mib < MIB / 4
    assert MIB * 0.9 < resident_mib() - small_mib < MIB * 1.5


def test_the_word_is_what_a_promotion_asks_and_nothing_that_is_recorded_or_warmed_with() -> None:
    recorded = json.loads(probing.GOLDEN.read_text())["texts"]
    assert bad_graph.WORD in probing.TEXT.lower().split()
    assert not any(bad_graph.WORD in row["text"].lower() for row in recorded)


def test_the_manifest_vouches_for_the_spoilt_graph(folder: Path, tmp_path: Path) -> None:
    bad = bad_graph.slow(folder, tmp_path / "slow", 1)
    assert manifest.load(bad).files[manifest.GRAPH] != manifest.load(folder).files[manifest.GRAPH]
    assert golden.load(bad) == golden.load(folder)


def test_every_second_client_is_one_of_the_canarys() -> None:
    share = load_router().canary_share
    for client in range(4):
        for turn in range(5):
            is_canarys = spot(half_to_canary(client, turn)["x-request-id"]) < share
            assert is_canarys == (client % 2 == 0)


def test_the_routers_own_question_has_the_word_too() -> None:
    """So at the canary such a version is large from its first look on, and only its size can be held against it."""
    assert any(bad_graph.WORD in text.lower() for text in probe.TEXTS)
