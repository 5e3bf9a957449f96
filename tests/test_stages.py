"""What is asked of a stage through the link: from which host, of which port, with which body."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

from provision import stages
from provision.settings import load
from provision.site import Site


def test_a_summary_is_asked_for_where_the_link_listens() -> None:
    asked: list[Any] = []

    def run(host: str, words: list[str], *, stdin: str) -> SimpleNamespace:
        asked.append((host, words[-1], json.loads(stdin)))
        return SimpleNamespace(stdout='{"summaries": ["a"]}\n0.25')

    settings = load("rehearsal")
    forward = next(row for row in settings.link.forwards if row.service == "serving-canary")
    own = SimpleNamespace(entry=SimpleNamespace(name="node1", address="10.0.0.1"))
    site = cast(Site, SimpleNamespace(own=own, hosts=SimpleNamespace(run=run)))
    assert stages.summarize(site, forward, ["a b"]) == ({"summaries": ["a"]}, 250.0)
    assert asked == [("node1", f"http://10.0.0.1:{forward.port}/summarize", {"texts": ["a b"]})]
