"""PDFs of `arxiv-raw` into searchable vectors: list, extract, load, report; and ask, which finds the nearest chunks.

Each step is `python -m pipelines.ingest <step>`, a pod of the workflow templates in apps/pipelines. Steps hand over
small JSON files; texts lie in `arxiv-text`, chunks and vectors in PostgreSQL. Every step may run again at any time.
"""
