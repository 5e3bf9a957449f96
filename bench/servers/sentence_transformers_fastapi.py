"""sentence-transformers behind plain FastAPI."""

from __future__ import annotations

import sys

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer

torch.set_num_threads(2)
model = SentenceTransformer(sys.argv[2], device="cpu")
app = FastAPI()


class Request(BaseModel):
    """Texts to embed."""

    texts: list[str]


@app.post("/embed")
def embed(request: Request) -> dict[str, list[list[float]]]:
    """As its documentation shows it."""
    return {"embeddings": model.encode(request.texts, show_progress_bar=False).tolist()}


@app.get("/health")
def health() -> dict[str, str]:
    """Loaded, since the module is."""
    return {}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
