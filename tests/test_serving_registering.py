"""The image's own models in the registry: once, patiently, and never against a refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving import lifecycle, registering, registry
from serving.errors import TrackingFailed, TrackingRefused
from serving.registering import DEADLINE_S, EVERY_S, insist
from serving.stages import NAMES
from tests.mlflow_double import Mlflow, write_model


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Mlflow:
    """A registry, reached whatever the environment says."""
    made = Mlflow()
    monkeypatch.setattr(registry, "tracking", lambda _: made.tracking)
    return made


def test_the_image_s_models_are_the_first_of_every_stage_and_stay_as_they_are(held: Mlflow, tmp_path: Path) -> None:
    words = [f"{model}={write_model(tmp_path / model, '1')}" for model in lifecycle.MODELS]
    assert registering.main(words) == 0
    held.tracking.delete_alias("embedder", "canary")
    held.tracking.set_alias("embedder", "staging", "1")
    before = dict(held.artifacts)
    assert registering.main(words) == 0
    assert {model: len(versions) for model, versions in held.models.items()} == dict.fromkeys(lifecycle.MODELS, 1)
    assert held.aliases == {model: dict.fromkeys(NAMES, "1") for model in lifecycle.MODELS}
    assert held.artifacts == before


def test_another_image_registers_its_models_and_moves_no_stage(held: Mlflow, tmp_path: Path) -> None:
    assert registering.main([f"embedder={write_model(tmp_path / 'old', '1')}"]) == 0
    assert registering.main([f"embedder={write_model(tmp_path / 'new', '2')}"]) == 0
    assert len(held.models["embedder"]) == 2
    assert held.aliases["embedder"] == dict.fromkeys(NAMES, "1")


@pytest.mark.parametrize("words", [[], ["embedder"], ["embedder="], ["embeder=/x"], ["/models/embedder"]])
def test_a_wrong_argument_ends_it(words: list[str], held: Mlflow, caplog: pytest.LogCaptureFixture) -> None:
    assert registering.main(words) == 2
    assert "expected MODEL=FOLDER" in caplog.text and held.asked == []


def test_a_folder_without_a_model_is_said(held: Mlflow, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert registering.main([f"embedder={tmp_path}"]) == 1
    assert "no model in" in caplog.text and held.models == {}


def test_it_waits_for_a_registry_that_comes_up_later_but_not_for_ever() -> None:
    now, calls = [0.0], [0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def third() -> None:
        calls[0] += 1
        if calls[0] < 3:
            raise TrackingFailed("connection refused")

    insist(third, now=lambda: now[0], sleep=sleep)
    assert (calls[0], now[0]) == (3, 2 * EVERY_S)

    def never() -> None:
        raise TrackingFailed("connection refused")

    with pytest.raises(TrackingFailed):
        insist(never, now=lambda: now[0], sleep=sleep)
    assert DEADLINE_S <= now[0] <= DEADLINE_S + 20


def test_a_refusal_is_final() -> None:
    calls = [0]

    def refused() -> None:
        calls[0] += 1
        raise TrackingRefused("401", "")

    with pytest.raises(TrackingRefused):
        insist(refused)
    assert calls == [1]
