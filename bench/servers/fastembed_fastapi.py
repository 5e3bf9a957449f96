"""fastembed behind plain FastAPI."""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from pydantic import BaseModel

TextEmbedding.add_custom_model(
    model="local/minilm",
    pooling=PoolingType.MEAN,
    normalization=True,
    sources=ModelSource(hf="local/minilm"),
    dim=384,
    model_file="hidden.onnx",
)
model = TextEmbedding("local/minilm", specific_model_path=sys.argv[2], threads=2)
app = FastAPI()


class Request(BaseModel):
    """Texts to embed."""

    texts: list[str]


@app.post("/embed")
def embed(request: Request) -> dict[str, list[list[float]]]:
    """As its documentation shows it."""
    return {"embeddings": [vector.tolist() for vector in model.embed(request.texts)]}


@app.get("/health")
def health() -> dict[str, str]:
    """Loaded, since the module is."""
    return {}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
