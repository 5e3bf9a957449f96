"""Monitoring: every target of both sites is up, the rules are loaded, nothing fires, and every panel shows something.

All of it is asked of the one Prometheus, at the CPU site; what it knows of the GPU site came through the link. Grafana
draws the same queries: where its image cannot be had, this is all there is of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import pytest
import yaml

from provision import prometheus
from provision.errors import CommandFailed, DeadlineExceeded
from provision.prometheus import Sample
from provision.settings import ROOT, Settings, load
from provision.site import Site
from provision.wait import never, wait_until
from serving import stages
from serving.stages import Stage
from verify import panels
from verify.panels import Panel

T = TypeVar("T")
RULES = ROOT / "apps" / "prometheus" / "chart" / "rules"
PANELS = panels.load()
A_NODE = ("kubelet", "cadvisor", "node-exporter")
"""Jobs with a target on every node."""
TARGETS: Mapping[str, Mapping[str, int]] = {
    "kvm-tacc": {
        "kube-state-metrics": 1,
        "argocd-application-controller": 1,
        "argocd-repo-server": 1,
        "prometheus": 1,
        "blackbox-exporter": 1,
        "postgres-exporter": 1,
        "workflow-controller": 1,
        "probe": 4,
        "link": len(stages.NAMES) + 2,  # the router, and Ray's dashboard
    },
    "chi-uc": {
        "kube-state-metrics": 1,
        "argocd-application-controller": 1,
        "argocd-repo-server": 1,
        "prometheus-agent": 1,
        "gpu": 1,
        "kuberay-operator": 1,
        "serving": len(stages.NAMES),
        "serving-router": 1,
        "ray": 3,
    },
}
"""Site -> job -> targets, beside those on every node."""
ALLOWED: tuple[str, ...] = ()
"""Alerts that may fire on a platform that is well."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A check a site and job; with `--site`, the site's."""
    if "job" not in metafunc.fixturenames:
        return
    settings, asked = load(metafunc.config.getoption("env")), metafunc.config.getoption("site")
    rows = [row for row in expected(settings) if asked in {"", row[0]}]
    metafunc.parametrize("job", rows, ids=["-".join(row) for row in rows])


def expected(settings: Settings) -> Mapping[tuple[str, str], int]:
    """(site, job) -> how many targets it has when the platform stands."""
    nodes = {(name, job): len(site.nodes) for name, site in settings.sites.items() for job in A_NODE}
    return nodes | {(site, job): count for site, jobs in TARGETS.items() for job, count in jobs.items()}


@pytest.fixture(scope="module")
def ask(both: tuple[Site, Site]) -> Callable[[str], tuple[Sample, ...]]:
    """ask("up"): the samples; none while Prometheus does not answer."""

    def asked(expression: str) -> tuple[Sample, ...]:
        try:
            return prometheus.query(both[0].kube, expression)
        except CommandFailed:
            return ()

    return asked


@pytest.fixture(scope="module")
def up(
    ask: Callable[[str], tuple[Sample, ...]], settings: Settings, budget: Callable[[str], float]
) -> Mapping[tuple[str, str], int]:
    """(site, job) -> targets that are up, once all are there or the time is over."""
    wanted = expected(settings)
    return settled(
        "prometheus: every target up",
        lambda: {(one.labels["site"], one.labels["job"]): int(one.value) for one in ask("sum by (site, job) (up)")},
        lambda found: all(found.get(row, 0) >= count for row, count in wanted.items()),
        budget("monitoring.samples_deadline_s"),
    )


@pytest.fixture(scope="module")
def shown(
    ask: Callable[[str], tuple[Sample, ...]],
    up: Mapping[tuple[str, str], int],
    budget: Callable[[str], float],
) -> Mapping[str, int]:
    """Query of a panel -> series in its answer, once each has some or the time is over."""
    queries = [query for panel in PANELS for query in panel.queries]
    return settled(
        "prometheus: every panel has data",
        lambda: counted(queries, ask),
        lambda found: all(found.values()),
        budget("monitoring.samples_deadline_s") if up else 0.0,
    )


@pytest.fixture(scope="module")
def ready(
    ask: Callable[[str], tuple[Sample, ...]], up: Mapping[tuple[str, str], int], budget: Callable[[str], float]
) -> Sequence[Sample]:
    """What the stages say of themselves, once all are ready or the time is over."""
    return settled(
        "prometheus: every stage is ready",
        lambda: ask("max by (site, stage) (serving_ready)"),
        lambda found: len(found) == len(stages.NAMES) and all(one.value == 1 for one in found),
        budget("monitoring.samples_deadline_s") if up else 0.0,
    )


def counted(queries: Sequence[str], ask: Callable[[str], tuple[Sample, ...]]) -> Mapping[str, int]:
    """Query -> series in its answer; all of them in one question, since each costs as much as all."""
    parts = [f'label_replace(count({query}), "n", "{n}", "", "")' for n, query in enumerate(queries)]
    found = {int(one.labels["n"]): int(one.value) for one in ask(" or ".join(parts))}
    return {query: found.get(n, 0) for n, query in enumerate(queries)}


def test_every_target_is_up(
    job: tuple[str, str], up: Mapping[tuple[str, str], int], settings: Settings, figure: Callable[[str], None]
) -> None:
    """As many as there should be, by site and job; a pod that was replaced is still counted for five minutes."""
    told = ", GPU: simulated" if job[1] == "gpu" and "GPU" in settings.simulated else ""
    figure(f"{up.get(job, 0)} up{told}")
    assert up.get(job, 0) >= expected(settings)[job]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.id)
def test_every_panel_shows_something(panel: Panel, shown: Mapping[str, int], figure: Callable[[str], None]) -> None:
    """Each of its queries answers with at least one series."""
    figure(f"{sum(shown[query] for query in panel.queries)} series")
    assert [query for query in panel.queries if not shown[query]] == []


def test_the_rules_of_this_checkout_are_loaded(both: tuple[Site, Site], figure: Callable[[str], None]) -> None:
    """All of them and no other, and the last evaluation of each went well."""
    groups = [group for path in RULES.glob("*.yaml") for group in yaml.safe_load(path.read_text())["groups"]]
    wanted = [rule.get("alert") or rule["record"] for group in groups for rule in group["rules"]]
    found = prometheus.rules(both[0].kube)
    figure(f"{len(found)} rules, {sum(rule.kind == 'alerting' for rule in found)} of them alerts")
    assert sorted(rule.name for rule in found) == sorted(wanted)
    assert [f"{rule.name}: {rule.fault}" for rule in found if rule.fault] == []


def test_no_alert_fires(both: tuple[Site, Site], budget: Callable[[str], float], figure: Callable[[str], None]) -> None:
    """None but those that may; one that is on its way out is given the time that a sample takes."""
    left = settled(
        "prometheus: no alert fires",
        lambda: [alert for alert in prometheus.firing(both[0].kube) if alert.name not in ALLOWED],
        lambda alerts: not alerts,
        budget("monitoring.samples_deadline_s"),
    )
    figure(f"{len(left)} fire")
    assert [f"{alert.name} {alert.site}: {alert.summary}" for alert in left] == []


def test_samples_come_through_the_link(
    both: tuple[Site, Site],
    ask: Callable[[str], tuple[Sample, ...]],
    budget: Callable[[str], float],
    figure: Callable[[str], None],
) -> None:
    """The newest sample that the GPU site's agent took of itself is not old."""
    limit_s, across = budget("monitoring.sample_age_s"), both[1].name
    ages = settled(
        f"prometheus: a new sample of {across}",
        lambda: [one.value for one in ask(f'site:sample_age_seconds:min{{site="{across}"}}')],
        lambda found: any(age <= limit_s for age in found),
        budget("monitoring.samples_deadline_s"),
    )
    figure(f"{min(ages, default=float('inf')):.0f} s old")
    assert [age for age in ages if age <= limit_s] != []


def test_metrics_of_the_stage_arrive(stage: Stage, ready: Sequence[Sample], both: tuple[Site, Site]) -> None:
    """The stage says that it is ready, from its site, in the Prometheus of the other."""
    found = [one for one in ready if one.labels["stage"] == stage.name]
    assert {(one.labels["site"], one.value) for one in found} == {(both[1].name, 1.0)}


def test_the_clusters_know_when_their_leases_end(
    site: Site,
    ask: Callable[[str], tuple[Sample, ...]],
    budget: Callable[[str], float],
    figure: Callable[[str], None],
) -> None:
    """What Prometheus counts down is what the cloud says."""
    left = site.cloud.lease_hours_left()
    found = ask(f'lease:hours_left:min{{site="{site.name}"}}')
    figure(", ".join(f"{one.value:.1f} hours left" for one in found) or "not known")
    assert left is not None
    assert [one.value for one in found] == [pytest.approx(left, abs=budget("monitoring.lease_tolerance_h"))]


def settled(what: str, probe: Callable[[], T], done: Callable[[T], bool], deadline_s: float) -> T:
    """Probe until done, but no longer; what was seen last is for the check to judge."""
    seen: list[T] = []

    def remember() -> T:
        seen.append(probe())
        return seen[-1]

    try:
        return wait_until(what, remember, done, never, deadline_s=deadline_s)
    except DeadlineExceeded:
        return seen[-1]
