"""CTranslate2 int8 behind plain FastAPI: two workers of one thread, mean pooling in numpy."""

from __future__ import annotations

import sys

import ctranslate2
import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[2] + "/tokenizer.json")
tokenizer.no_padding()
tokenizer.enable_truncation(512)
model = ctranslate2.Encoder(sys.argv[2], device="cpu", compute_type="int8", inter_threads=2, intra_threads=1)
app = FastAPI()


class Request(BaseModel):
    """Texts to embed."""

    texts: list[str]


@app.post("/embed")
def embed(request: Request) -> dict[str, list[list[float]]]:
    """One batch a request."""
    texts = [encoded.ids for encoded in tokenizer.encode_batch(request.texts)]
    hidden = np.array(model.forward_batch(texts).last_hidden_state)
    means = [rows[: len(ids)].mean(axis=0) for rows, ids in zip(hidden, texts, strict=True)]
    return {"embeddings": [(mean / np.linalg.norm(mean)).tolist() for mean in means]}


@app.get("/health")
def health() -> dict[str, str]:
    """Loaded, since the module is."""
    return {}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
