"""The original platform's algorithm: collect for 15 ms, pad every text to 512 tokens, one run, pool outside the graph.

The graph is ours in fp32 without the pooling. Pooling is numpy here and torch there, which is no slower.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from tokenizers import Tokenizer

LENGTH = 512
WINDOW_S = 0.015

folder = Path(sys.argv[2])
session = onnxruntime.InferenceSession(str(folder / "hidden.onnx"), providers=["CPUExecutionProvider"])
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.no_padding()  # the packaged one pads to 128 tokens, which would count as text below
tokenizer.enable_truncation(LENGTH)
waiting: list[tuple[list[str], asyncio.Future[list[list[float]]]]] = []
lock, event = asyncio.Lock(), asyncio.Event()


class Request(BaseModel):
    """Texts to embed."""

    texts: list[str]


class Answer(BaseModel):
    """A vector for each."""

    embeddings: list[list[float]]


async def collect() -> None:
    """Whoever came within the window is one batch; the event loop stands while it runs."""
    while True:
        await event.wait()
        await asyncio.sleep(WINDOW_S)
        async with lock:
            batch = waiting.copy()
            waiting.clear()
            event.clear()
        vectors = run(list(chain.from_iterable(texts for texts, _ in batch))) if batch else []
        for texts, future in batch:
            future.set_result(vectors[: len(texts)])
            vectors = vectors[len(texts) :]


def run(texts: list[str]) -> list[list[float]]:
    """Everything padded to LENGTH."""
    ids = np.zeros((len(texts), LENGTH), np.int64)
    mask = np.zeros_like(ids)
    for row, encoded in enumerate(tokenizer.encode_batch(texts)):
        cut = encoded.ids[:LENGTH]
        ids[row, : len(cut)], mask[row, : len(cut)] = cut, 1
    hidden = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
    kept = hidden * mask[:, :, None]
    found: list[list[float]] = (kept.sum(axis=1) / mask.sum(axis=1, keepdims=True)).tolist()
    return found


@asynccontextmanager
async def life(_app: FastAPI) -> AsyncIterator[None]:
    """The collector lives as long as the server."""
    task = asyncio.create_task(collect())
    yield
    task.cancel()


app = FastAPI(lifespan=life)


@app.post("/embed", response_model=Answer)
async def embed(request: Request) -> Any:
    """Wait for the batch that takes it."""
    future: asyncio.Future[list[list[float]]] = asyncio.get_running_loop().create_future()
    async with lock:
        waiting.append((request.texts, future))
        event.set()
    return {"embeddings": await future}


@app.get("/health")
def health() -> dict[str, str]:
    """Loaded, since the module is."""
    return {}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
