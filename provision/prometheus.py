"""The platform's Prometheus, asked through the API server's proxy: it has no face outside its cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from provision.kube import Kube

API = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1"


@dataclass(frozen=True, slots=True)
class Sample:
    """One series at one moment."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that fires. since: UTC, as Prometheus writes it."""

    name: str
    severity: str
    site: str
    since: str
    summary: str
    runbook: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as Prometheus has loaded it. fault: why its last evaluation failed, or ''."""

    name: str
    kind: str
    fault: str


def query(kube: Kube, expression: str) -> tuple[Sample, ...]:
    """An instant query. Raises CommandFailed where Prometheus is not there or refuses the expression."""
    found = ask(kube, f"query?query={quote(expression)}")["result"]
    return tuple(Sample(row["metric"], float(row["value"][1])) for row in found)


def firing(kube: Kube) -> tuple[Alert, ...]:
    """The alerts that fire, not those that are about to."""
    return alerts_of(ask(kube, "alerts"))


def rules(kube: Kube) -> tuple[Rule, ...]:
    """Every rule that is loaded."""
    rows = [rule for group in ask(kube, "rules")["groups"] for rule in group["rules"]]
    return tuple(Rule(row["name"], row["type"], row.get("lastError", "")) for row in rows)


def alerts_of(data: Mapping[str, Any]) -> tuple[Alert, ...]:
    """The firing ones of Prometheus' list. Pure."""
    return tuple(
        Alert(
            name=row["labels"]["alertname"],
            severity=row["labels"].get("severity", ""),
            site=row["labels"].get("site", ""),
            since=row["activeAt"],
            summary=row["annotations"]["summary"],
            runbook=row["annotations"]["runbook"],
        )
        for row in data["alerts"]
        if row["state"] == "firing"
    )


def ask(kube: Kube, path: str) -> Any:
    """`data` of an answer of Prometheus' HTTP API."""
    return json.loads(kube.run("get", "--raw", f"{API}/{path}").stdout)["data"]
