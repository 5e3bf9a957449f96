"""Rules, dashboards and what is scraped agree with each other; whether Prometheus takes them, `nox -s rules` shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from invoke.parser import Parser

import tasks
from provision import prometheus, values
from provision.settings import ROOT, load
from serving import metrics
from serving.router import metrics as router_metrics
from tests.apps.test_charts import named, settings
from verify import check_monitoring, panels

RULES = [
    rule
    for path in sorted(check_monitoring.RULES.glob("*.yaml"))
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
CASES = [
    case
    for path in sorted((Path(__file__).parent / "rules").glob("*.yaml"))
    for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
    for case in test.get("alert_rule_test", ())
]
QUERIES = [rule["expr"] for rule in RULES] + [query for panel in check_monitoring.PANELS for query in panel.queries]

by_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])


def words(pattern: str) -> set[str]:
    return {word for query in QUERIES for word in re.findall(pattern, query)}


def kept(job: str) -> Iterator[str]:
    """What a job keeps of what it scrapes, as patterns of names."""
    jobs: list[Mapping[str, Any]] = values.of(named("prometheus"), settings("rehearsal"))["jobs"]
    found = next(one for one in jobs if one["job_name"] == job)
    return (row["regex"] for row in found["metric_relabel_configs"] if row.get("action") == "keep")


@by_alert
def test_an_alert_says_what_is_wrong_and_what_to_type(alert: Mapping[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert alert["annotations"]["summary"].rstrip().endswith(".")
    command, *rest = re.sub(r"{{ .*? }}", "canary", alert["annotations"]["runbook"]).split()
    assert command in {"invoke", "kubectl"}
    assert command == "kubectl" or len(Parser(contexts=tasks.namespace.to_contexts()).parse_argv(rest)) == 1


@by_alert
def test_an_alert_is_seen_firing_and_seen_silent(alert: Mapping[str, Any]) -> None:
    seen = [bool(case["exp_alerts"]) for case in CASES if case["alertname"] == alert["alert"]]
    assert set(seen) == {True, False}


def test_what_the_rules_and_panels_ask_of_kubernetes_is_told() -> None:
    given = values.of(named("kube-state-metrics"), settings("rehearsal"))
    assert words(r"\bkube_\w+") == set(given["metrics"])


@pytest.mark.parametrize(("job", "prefix"), [("cadvisor", "container_"), ("kubelet", "kubelet_")])
def test_what_the_rules_and_panels_ask_of_a_kubelet_is_kept(job: str, prefix: str) -> None:
    for name in words(rf"\b{prefix}\w+"):
        assert any(re.fullmatch(pattern, name) for pattern in kept(job)), name


def test_what_the_rules_and_panels_ask_of_a_stage_is_counted_by_it() -> None:
    assert counted(metrics.Metrics("testing").text()) >= words(r"\bserving_\w+?(?=_bucket\b|\b)")


def test_what_the_panels_ask_of_the_router_is_counted_by_it() -> None:
    asked = words(r"\brouter_\w+?(?=_bucket\b|\b)")
    assert asked and counted(router_metrics.Metrics().text()) >= asked


def counted(exposition: bytes) -> set[str]:
    """Names of the metrics that a process tells."""
    return set(re.findall(r"^# TYPE (\w+)", exposition.decode(), re.MULTILINE))


def test_a_record_that_is_asked_for_is_made() -> None:
    assert words(r"\b[a-z]+:[a-z_]+:[a-z0-9_]+") == {rule["record"] for rule in RULES if "record" in rule}


def test_panels_have_names_of_their_own_and_no_variables() -> None:
    ids = [panel.id for panel in check_monitoring.PANELS]
    assert len(ids) == len(set(ids)) > 0
    assert {panel.dashboard for panel in check_monitoring.PANELS} == {"platform", "serving", "ray", "nodes"}
    assert [query for query in QUERIES if "$" in query] == []
    assert all(panel.queries for panel in check_monitoring.PANELS)


def test_the_link_is_probed_at_every_stage() -> None:
    probes = values.of(named("prometheus"), settings("rehearsal"))["probes"]
    forwards = {row.service for row in load("rehearsal").link.forwards if row.listens == "kvm-tacc"}
    assert set(probes["link"]) == forwards - {"ray-client", "ray-metrics"}
    targets = check_monitoring.TARGETS["kvm-tacc"]
    assert {job: len(services) for job, services in probes.items()} == {job: targets[job] for job in probes}


def test_a_node_s_jobs_are_expected_on_every_node() -> None:
    wanted = check_monitoring.expected(settings("rehearsal"))
    assert wanted["kvm-tacc", "node-exporter"] == 3
    assert wanted["chi-uc", "kubelet"] == 1


def test_only_alerts_that_fire_are_told() -> None:
    told = {"annotations": {"summary": "s", "runbook": "r"}, "activeAt": "2026-11-25T10:00:00Z"}
    rows = [
        {"labels": {"alertname": "A", "severity": "critical", "site": "chi-uc"}, "state": "firing", **told},
        {"labels": {"alertname": "B"}, "state": "pending", **told},
    ]
    assert prometheus.alerts_of({"alerts": rows}) == (
        prometheus.Alert("A", "critical", "chi-uc", "2026-11-25T10:00:00Z", "s", "r"),
    )


def test_a_panel_without_queries_is_still_a_panel(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"panels": [{"title": "Free, of 8 GiB", "targets": [{"expr": "up"}]}]}')
    assert [(panel.id, panel.queries) for panel in panels.load(tmp_path)] == [("x-free-of-8-gib", ("up",))]


def test_dashboards_lie_where_the_chart_takes_them() -> None:
    assert panels.DASHBOARDS == ROOT / "apps" / "grafana" / "chart" / "dashboards"
