"""The link is stopped: its alert fires within the budget, goes when it is back, and no sample of the cut is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from provision import prometheus
from provision.errors import CommandFailed
from provision.settings import Settings
from provision.site import Site
from provision.wait import never, wait_until
from verify.drills.cli import Cli
from verify.drills.faults import stop_the_tunnel

ALERT = "LinkDown"
SAMPLES = 'count_over_time(up{{job="prometheus-agent", site="{site}"}}[{seconds}s] @ {end})'
SCRAPE_S = 15


@pytest.fixture
def stopped(doors: Mapping[str, Site], settings: Settings, cli: Cli) -> Iterator[float]:
    """The link, stopped as by hand and brought back by its step if the drill did not; when it was stopped."""
    stop_the_tunnel(doors)
    yield time.time()
    cli.must("provision.tunnel", "--site", settings.link.client)


@pytest.mark.breaks
def test_a_stopped_link_is_told_and_its_samples_come_later(
    stopped: float, doors: Mapping[str, Site], settings: Settings, cli: Cli, figure: Callable[[str], None]
) -> None:
    """Stop, alert, repair, no alert; then the GPU site's samples of that time are there too."""
    server, client = doors[settings.link.server], settings.link.client
    wait_until(
        f"prometheus: {ALERT} fires",
        lambda: fires(server),
        lambda alerts: ALERT in alerts,
        never,
        deadline_s=cli.budget("drill.alert_fires_s"),
    )
    told, after_s = fires(server), time.time() - stopped
    cli.must("provision.tunnel", "--site", client)
    back = time.time()
    wait_until(
        f"prometheus: {ALERT} is over",
        lambda: fires(server),
        lambda alerts: ALERT not in alerts,
        never,
        deadline_s=cli.budget("drill.alert_over_s"),
    )
    over_s, cut_s = time.time() - back, int(back - stopped)
    wanted = cut_s // SCRAPE_S - 1
    query = SAMPLES.format(site=client, seconds=cut_s, end=int(back))
    kept = wait_until(
        f"prometheus: the samples of the cut, {wanted} at least",
        lambda: sum(int(one.value) for one in prometheus.query(server.kube, query)),
        lambda count: count >= wanted,
        never,
        deadline_s=cli.budget("drill.alert_over_s"),
    )
    figure(f"stopped -> {ALERT} in {after_s:.0f} s; back -> over in {over_s:.0f} s; fired: {', '.join(sorted(told))}")
    figure(f"{kept} samples of the {cut_s} s without a link came afterwards")


def fires(site: Site) -> set[str]:
    """The alerts that fire; none while Prometheus does not answer."""
    try:
        return {alert.name for alert in prometheus.firing(site.kube)}
    except CommandFailed:
        return set()
