"""The embedding service of the four stages: FastAPI around one engine, no torch, no transformers.

A request goes app, account -> routes (body, headers; api says their shapes, contract documents them) -> service (phase)
-> embedder (cache, tokens, admission) -> backlog (who is next) -> scheduler (workers) -> model, engine (ort). What goes
wrong is one of errors, and leaves as one of problems.
`export` makes the model folder that `model` loads; `reference` is the independent forward pass it is judged by.
`stages` needs the standard library only, so the platform's own environment can read the table.
"""

__version__ = "0.2.0"
