"""What a stage holds in memory, told part by part; with tiny models, as the real ones take seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from serving import resident
from serving.export import export
from tests import summarizer_doubles
from tests.serving_doubles import POSITIONS, write_weights


def test_every_part_is_told_and_the_most_never_falls(tmp_path: Path) -> None:
    source = write_weights(tmp_path / "weights")
    export(source, tmp_path / "embedder", name="tiny", version=None, max_tokens=POSITIONS, precision="int8")
    summarizer_doubles.engine(tmp_path / "summarizer", "int8")
    seen = list(resident.measure(tmp_path / "embedder", tmp_path / "summarizer", 1, ((1, 20), (2, 999))))
    assert [one.what for one in seen] == [
        "code of the service",
        "embedder int8, warmed",
        "summarizer, loaded",
        "1 texts of 20 tokens",
        "2 texts of 64 tokens",
    ]
    assert all(0 < one.own <= one.now <= one.most for one in seen)
    assert [one.most for one in seen] == sorted(one.most for one in seen)


def test_what_is_held_is_seen() -> None:
    before = resident.resident("before")
    held = np.ones(64 << 17)  # 64 MiB
    during = resident.resident("during")
    assert held.all() and 56 <= during.own - before.own <= 80
    assert str(resident.Resident("loaded", 300, 250, 310)).split() == [
        "loaded",
        "300",
        "MiB,",
        "own",
        "250,",
        "most",
        "310",
    ]
