"""Injected faults, read afresh from the tree's faults.json: {"spawn_delay": seconds, "spawn_fail": [regex, ...]}."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from rehearsal.clouds.layout import Tree


@dataclass(frozen=True, slots=True)
class Faults:
    """What should go wrong. spawn_delay_s: added to every deploy. spawn_fail: names that fail to deploy."""

    spawn_delay_s: float = 0.0
    spawn_fail: tuple[str, ...] = ()

    def fails(self, name: str) -> bool:
        """Whether deploying a server of this name is to fail."""
        return any(re.search(pattern, name) for pattern in self.spawn_fail)


def read(tree: Tree) -> Faults:
    """The faults in force; none without the file. A broken file raises: a drill that injects nothing proves nothing."""
    try:
        facts = json.loads(tree.faults_file.read_text())
    except FileNotFoundError:
        return Faults()
    return Faults(float(facts.get("spawn_delay", 0)), tuple(facts.get("spawn_fail", ())))
