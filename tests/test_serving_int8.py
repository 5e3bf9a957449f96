from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from serving import gate, golden, manifest, model, passages, quantise
from serving.config import from_env
from serving.engine import Ids, Vectors
from serving.errors import GateFailed, ModelInvalid, ProviderMissing
from serving.export import TEXTS, export
from serving.proof import prove
from serving.rowwise import ALONE_TOKENS, RowwiseEngine
from tests.serving_doubles import POSITIONS, write_weights

CPU = "CPUExecutionProvider"
GOOD = manifest.Gate(cosine_mean=0.998, cosine_min=0.99, recall_fp32=0.7, recall=0.69, mates_cosine_min=1.0)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="module")
def folder(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "int8"
    export(source, out, name="tiny", version="1", max_tokens=POSITIONS, precision="int8")
    return out


def load(folder: Path, **env: str) -> model.Model:
    return model.load(from_env({"MODEL_DIR": str(folder), "REQUIRED_PROVIDER": CPU, **env}))


def test_the_folder_says_its_precision_and_what_it_reached(folder: Path) -> None:
    about = manifest.load(folder)
    assert about.precision == golden.load(folder).precision == "int8"
    assert about.gate is not None
    gate.require(about.gate, "int8")
    assert 0.994 <= about.gate.cosine_mean < 1.0, "as good as fp32 would mean that nothing was rounded"


def test_the_manifest_picks_the_engine(folder: Path) -> None:
    loaded = load(folder)
    assert isinstance(loaded.engine, RowwiseEngine)
    assert prove(loaded) >= golden.GATE


def test_an_unknown_precision_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(model.ENGINES, "int8")
    with pytest.raises(ModelInvalid, match="no engine here runs int8"):
        load(folder)


def test_int8_is_refused_where_something_else_than_a_cpu_is_required(folder: Path) -> None:
    with pytest.raises(ProviderMissing, match="an int8 model runs on CPUExecutionProvider only"):
        load(folder, REQUIRED_PROVIDER="CUDAExecutionProvider")
    allowed = load(folder, REQUIRED_PROVIDER="CUDAExecutionProvider", ALLOW_CPU="1")
    assert allowed.degraded
    assert allowed.provider == CPU


def test_a_vector_does_not_depend_on_its_batch_mates(folder: Path) -> None:
    """Short and long ones mixed, so that both ways through the graph are taken, in both orders."""
    loaded = load(folder)
    texts = [ids for ids, _ in loaded.tokenize([*TEXTS, *passages.make(12).queries])]
    assert min(map(len, texts)) < ALONE_TOKENS < max(map(len, texts))
    alone = np.concatenate([loaded.run([ids]) for ids in texts])
    for order in (range(len(texts)), range(len(texts) - 1, -1, -1)):
        together = loaded.run([texts[row] for row in order])
        assert np.abs(together - alone[list(order)]).max() < 1e-6


def test_a_row_of_zeros_gives_zeros(source: Path) -> None:
    whole, step = quantise.rounded(np.zeros((4, 3), np.float32))
    assert not whole.any()
    assert np.isfinite(step).all()


def test_a_rounded_matrix_is_at_most_half_a_step_away() -> None:
    weight = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    whole, step = quantise.rounded(weight)
    assert np.abs(whole).max() == 127
    assert (np.abs(whole * step - weight) <= step / 2 * 1.001).all()


def test_bad_rounding_is_not_published(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantise, "STEPS", 3.0)
    with pytest.raises(GateFailed, match=r"int8: cosine_mean 0\.\d+ < 0\.994"):
        export(source, tmp_path / "out", name="tiny", version="1", max_tokens=POSITIONS, precision="int8")
    assert list(tmp_path.iterdir()) == []


def test_what_is_good_enough_passes() -> None:
    gate.require(GOOD, "int8")


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("cosine_mean", 0.9939),
        ("cosine_min", 0.979),
        ("recall", 0.679),
        ("mates_cosine_min", 0.9998),
        ("cosine_min", float("nan")),
    ],
)
def test_each_figure_can_fail_alone(figure: str, value: float) -> None:
    with pytest.raises(GateFailed, match=figure):
        gate.require(GOOD.model_copy(update={figure: value}), "int8")


def test_a_scale_for_the_whole_batch_is_found_out() -> None:
    """What dynamic int8 per tensor does: the largest value of any text sets everyone's steps."""
    rng = np.random.default_rng(0)
    known = rng.normal(size=(40, 16)).astype(np.float32) * rng.uniform(0.1, 3.0, size=(40, 1)).astype(np.float32)

    def run(batch: Sequence[Ids], /) -> Vectors:
        rows = np.stack([known[ids[0]] for ids in batch])
        step = np.abs(rows).max() / 127
        near: Vectors = np.rint(rows / step) * step
        return near

    texts = [[n] for n in range(40)]
    alone = np.concatenate([run([ids]) for ids in texts])
    assert gate.mates(run, texts, alone) < gate.MATES_COSINE
    assert gate.mates(lambda batch: np.stack([known[ids[0]] for ids in batch]), texts, known) > 0.9999999


def test_recall_counts_queries_whose_passage_is_among_the_first_ten() -> None:
    vectors = np.eye(20, dtype=np.float32)
    assert gate.recall(vectors, vectors, range(20)) == 1.0
    ranked = np.linspace(1, 0, 20, dtype=np.float32)[:, None]  # passage n comes at place n for every query
    assert gate.recall(ranked, np.ones((20, 1), np.float32), range(20)) == 0.5


def test_a_query_is_taken_out_of_its_passage_and_all_is_the_same_again() -> None:
    made = passages.make(50)
    assert made == passages.make(50)
    assert len(made.passages) == len(set(made.passages)) == len(made.queries) == 50
    for query, answer in zip(made.queries, made.answers, strict=True):
        assert query not in made.passages[answer]
        assert 30 <= len(query) <= 100
