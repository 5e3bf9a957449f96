"""The servers of the peers and of our summaries: run by file, each in its own environment, all with one shape.

`python FILE PORT MODEL_FOLDER`; `POST /embed {"texts": [...]}` gives `{"embeddings": [[...]]}`, `POST /summarize
{"sources": [[token ids]], "new": N}` gives `{"summaries": [[token ids]]}`, `GET /health` answers once it is loaded.
Written as each project's own documentation shows it: plain FastAPI, two threads in all.
"""
