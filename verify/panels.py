"""The panels of the dashboards: what each shows and the queries behind it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from provision.settings import ROOT

DASHBOARDS = ROOT / "apps" / "grafana" / "chart" / "dashboards"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. queries: PromQL without Grafana's variables, so that Prometheus takes them as they are."""

    dashboard: str
    title: str
    queries: tuple[str, ...]

    @property
    def id(self) -> str:
        """`platform-lease-hours-left`."""
        return f"{self.dashboard}-{re.sub(r'[^a-z0-9]+', '-', self.title.lower()).strip('-')}"


def load(folder: Path = DASHBOARDS) -> tuple[Panel, ...]:
    """Every panel of every dashboard."""
    return tuple(
        Panel(path.stem, panel["title"], tuple(target["expr"] for target in panel["targets"]))
        for path in sorted(folder.glob("*.json"))
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]
    )
