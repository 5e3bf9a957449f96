"""Argo CD puts back what somebody changed by hand; broken itself, `provision.charts` repairs it before all else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import pytest

from provision import applications
from provision.site import Site
from provision.wait import never, wait_until
from verify.drills.cli import Cli

SITE = "chi-uc"
STAGE = "serving-testing"
AGENT = "prometheus-agent"


@pytest.mark.breaks
def test_what_was_scaled_or_deleted_by_hand_comes_back(
    doors: Mapping[str, Site], cli: Cli, figure: Callable[[str], None]
) -> None:
    """A stage scaled to zero and a config map deleted: both as before without anybody typing anything."""
    kube = doors[SITE].kube
    started = time.monotonic()
    kube.run("scale", "deployment", STAGE, "-n", "serving", "--replicas=0")
    wait_until(
        f"{STAGE}: one replica wanted again",
        lambda: kube.get("deployment", namespace="serving", name=STAGE)[0]["spec"]["replicas"],
        lambda replicas: replicas == 1,
        never,
        deadline_s=cli.budget("drill.healed_s"),
        every_s=0.5,
    )
    figure(f"scaled to zero: wanted again after {time.monotonic() - started:.1f} s")
    started = time.monotonic()
    kube.run("delete", "configmap", AGENT, "-n", "monitoring")
    wait_until(
        f"config map {AGENT}: there again",
        lambda: kube.get("configmap", namespace="monitoring", name=AGENT),
        bool,
        never,
        deadline_s=cli.budget("drill.healed_s"),
        every_s=0.5,
    )
    figure(f"deleted config map: there again after {time.monotonic() - started:.1f} s")


@pytest.mark.breaks
def test_drift_that_may_not_heal_is_reported(
    doors: Mapping[str, Site], cli: Cli, figure: Callable[[str], None]
) -> None:
    """With healing switched off the plan says so, and what differs; one step puts both right."""
    site = doors[SITE]
    site.kube.run(
        *("patch", applications.KIND, applications.ROOT, "-n", applications.NAMESPACE, "--type=merge"),
        *("-p", '{"spec": {"syncPolicy": {"automated": null}}}'),
    )
    site.kube.run(
        *("patch", applications.KIND, "serving", "-n", applications.NAMESPACE, "--type=merge"),
        *("-p", '{"spec": {"syncPolicy": {"automated": null}}}'),
    )
    site.kube.run("scale", "deployment", STAGE, "-n", "serving", "--replicas=0")
    planned = cli.invoke("provision.plan", "--site", SITE, "--check")
    rows = {change["what"]: change["why"] for change in planned.data["changes"]}
    figure(f"plan: exit code {planned.code}, {'; '.join(f'{what}: {why}' for what, why in rows.items())[:300]}")
    repair = cli.must("provision.charts", "--site", SITE)
    figure(f"repaired by {repair.data['changes']} changes in {repair.seconds:.0f} s")
    assert planned.code == 4
    assert "heals nothing" in rows["release git"]
    assert "ready serving" in rows


@pytest.mark.breaks
def test_argo_cd_itself_is_repaired_first(doors: Mapping[str, Site], cli: Cli, figure: Callable[[str], None]) -> None:
    """Its repo-server gone: the step installs the base again before it waits for any application."""
    doors[SITE].kube.run("delete", "deployment", "argocd-repo-server", "-n", applications.NAMESPACE)
    repair = cli.must("provision.charts", "--site", SITE)
    figure(f"repaired by {repair.data['changes']} changes in {repair.seconds:.0f} s")
    cli.must_verify("argocd")
