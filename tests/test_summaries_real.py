"""A whole process over a real export of the tiny summarizer: what its folder says, what it answers, what it refuses."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.config import from_env
from serving.errors import ProviderMissing
from serving.manifest import sha256
from serving.service import Service
from serving.source import Found, Sources
from serving.summaries import model
from serving.summarizer import gate, summarizer
from serving.summarizer.builder import Precision
from serving.summarizer.export import export
from serving.summarizer.folder import GOLDEN, MANIFEST, SUMS
from tests.serving_http import visit
from tests.summaries_doubles import Moving
from tests.summarizer_doubles import write_source

TEXTS = ["The harbour was closed.", "Yes.", "A library lends out sleds."]
CPU = {"REQUIRED_PROVIDER": "CPUExecutionProvider", "POLL_S": "0.001"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of both precisions. One short golden text: the reference takes its time."""
    root = tmp_path_factory.mktemp("exports")
    source, found = write_source(root / "source"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "TEXTS", ("A dog.",))
        patch.setattr(gate.record, "__defaults__", (gate.TEXTS,))
        for precision in ("fp32", "int8"):
            export(source, root / precision, _precision(precision), name="tiny", version=precision, tokens=32)
            found[precision] = root / precision
    return found


def _precision(name: str) -> Precision:
    return "int8" if name == "int8" else "fp32"


class Folders(Moving):
    """A source whose versions are folders."""

    def __init__(self, found: dict[str, Path], version: str) -> None:
        super().__init__(version)
        self.found = found

    def current(self) -> Found:
        """The one of that name."""
        named = super().current()
        return Found(self.found[named.version], named.version, sha256(self.found[named.version] / MANIFEST))


def serve(ask: Any, source: Folders) -> Any:
    return visit(ask, env=CPU, sources=Sources(Moving("1"), source), summarizer=model.load)


async def asked(client: httpx.AsyncClient, texts: Sequence[str] = TEXTS) -> dict[str, Any]:
    answer = await client.post("/summarize", json={"texts": list(texts)})
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_is_answered_is_what_the_model_gives_alone(folders: dict[str, Path], precision: str) -> None:
    async def ask(client: httpx.AsyncClient, _: Service) -> tuple[dict[str, Any], Any]:
        return await asked(client), (await client.get("/readyz")).json()

    body, ready = serve(ask, Folders(folders, precision))
    alone = summarizer.load(folders[precision])
    assert body["summaries"] == [alone.summarize([text])[0] for text in TEXTS]
    assert (body["model"], body["precision"]) == ("tiny", precision)
    assert ready["models"][1]["proof"] < 0.01
    assert ready["models"][1]["degraded"] is False


def test_one_precision_takes_the_place_of_the_other_and_a_changed_one_is_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    source = Folders(folders | {"wrong": wrong(folders["int8"], tmp_path)}, "fp32")

    async def ask(client: httpx.AsyncClient, service: Service) -> list[Any]:
        found = [(await asked(client))["precision"]]
        source.version = "wrong"
        while service.summarizer is None or service.summarizer.refusal is None:
            await asyncio.sleep(0.001)
        found += [(await asked(client))["precision"], service.summarizer.refusal]
        source.version = "int8"
        while service.summarizer.refusal is not None or service.summarizer.require().model.manifest.version != "int8":
            await asyncio.sleep(0.001)
        return [*found, (await asked(client))["precision"]]

    before, beside, refusal, after = serve(ask, source)
    assert (before, beside, after) == ("fp32", "fp32", "int8")
    assert refusal.version == "wrong" and refusal.reason.startswith("GoldenMismatch: a log-probability moved by")


def wrong(good: Path, tmp_path: Path) -> Path:
    """A folder whose files are as its manifest says, and whose recorded log-probabilities are others."""
    out = tmp_path / "wrong"
    shutil.copytree(good, out)
    golden = json.loads((out / GOLDEN).read_text())
    golden["texts"][0]["log_probs"][0] -= 1.0
    (out / GOLDEN).write_text(json.dumps(golden))
    manifest = json.loads((out / MANIFEST).read_text())
    manifest["files"][GOLDEN] = sha256(out / GOLDEN)
    (out / MANIFEST).write_text(json.dumps(manifest))
    (out / SUMS).unlink()
    return out


def test_a_cpu_where_a_gpu_is_required_is_refused_or_degraded(folders: dict[str, Path]) -> None:
    with pytest.raises(ProviderMissing, match="CUDAExecutionProvider is required, ONNX Runtime gave CPU"):
        model.load(from_env({}), folders["int8"])
    assert model.load(from_env({"ALLOW_CPU": "1"}), folders["int8"]).degraded
