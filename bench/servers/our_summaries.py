"""The summarizer of this repository, int8, behind the same plain FastAPI: what is compared is the decoding."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from serving.summarizer import batch, engine
from serving.summarizer.generation import Generation

model = engine.load(Path(sys.argv[2]), threads=2)
app = FastAPI()


class Request(BaseModel):
    """Token ids of the sources, and how many tokens every summary has."""

    sources: list[list[int]]
    new: int


@app.post("/summarize")
def summarize(request: Request) -> dict[str, list[list[int]]]:
    """The end is banned before the last token and forced then."""
    settings = Generation.exactly(request.new)
    return {"summaries": [list(ids) for ids in batch.summarize(model, request.sources, settings)]}


@app.get("/health")
def health() -> dict[str, str]:
    """Loaded, since the module is."""
    return {}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
