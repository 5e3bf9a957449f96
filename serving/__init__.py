"""The embedding service of the four stages: FastAPI around one ONNX Runtime session, no torch, no transformers.

A request goes app (limits, body) -> service (tokenize, wait) -> scheduler (token-budget batches) -> model (session).
`export` makes the model folder that `model` loads; `reference` is the independent forward pass it is judged by.
`stages` needs the standard library only, so the platform's own environment can read the table.
"""

__version__ = "0.1.0"
