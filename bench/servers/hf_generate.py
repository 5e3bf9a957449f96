"""generate() of transformers: beam search with four beams."""

from __future__ import annotations

import sys

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import BartForConditionalGeneration

torch.set_num_threads(2)
model = BartForConditionalGeneration.from_pretrained(sys.argv[2]).eval()
app = FastAPI()


class Request(BaseModel):
    """Token ids of the sources, and how many tokens every summary has."""

    sources: list[list[int]]
    new: int


@app.post("/summarize")
def summarize(request: Request) -> dict[str, list[list[int]]]:
    """All sources are of one length."""
    ids = torch.tensor(request.sources)
    with torch.inference_mode():
        found = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            min_new_tokens=request.new,
            max_new_tokens=request.new,
            num_beams=4,
            do_sample=False,
        )
    return {"summaries": found.tolist()}


@app.get("/health")
def health() -> dict[str, str]:
    """Loaded, since the module is."""
    return {}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
