"""Summaries over HTTP: `api` and `routes` are what is said, `desk` answers, `pool` works, `pace` estimates.

The pool is of its own threads, so that an embedding never waits for a summary. The model is that of
`serving.summarizer`; `model` loads it on the provider that the stage requires, `proof` holds it against what was
recorded.
"""
