"""CTranslate2 int8: beam search with four beams."""

from __future__ import annotations

import sys

import ctranslate2
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

model = ctranslate2.Translator(sys.argv[2], device="cpu", compute_type="int8", intra_threads=2)
app = FastAPI()


class Request(BaseModel):
    """Token ids of the sources, and how many tokens every summary has."""

    sources: list[list[int]]
    new: int


@app.post("/summarize")
def summarize(request: Request) -> dict[str, list[list[str]]]:
    """Tokens are words to CTranslate2."""
    words = [[f"t{number}" for number in source] for source in request.sources]
    found = model.translate_batch(words, beam_size=4, max_decoding_length=request.new, min_decoding_length=request.new)
    return {"summaries": [result.hypotheses[0] for result in found]}


@app.get("/health")
def health() -> dict[str, str]:
    """Loaded, since the module is."""
    return {}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
