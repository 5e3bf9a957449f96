"""Ours beside its peers: each in a virtual environment of its own, on loopback, the same texts, in turns in one run.

`invoke serving.bench` (or `nox -s bench`) installs the peers from hash-pinned locks, makes the models, drives all of
them and prints ratios; `--smoke` takes seconds, only ours and one small peer. Absolute rates depend on what else the
machine does, so a target is a ratio within one run.
"""
