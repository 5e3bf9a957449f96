"""The link is cut, by a killed ssh and by a network that drops its packets: it is back by itself within the budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest

from provision.settings import Forward, Settings
from provision.site import Site
from provision.wait import never, wait_until
from serving import stages
from verify.drills.cli import Cli

UNIT = "tandem-link"
TABLE = "tandem_verify"
PROBE = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2).read()"


@dataclass(frozen=True)
class Link:
    """Both ends, and one forward through which a serving stage answers."""

    server: Site
    client: Site
    forward: Forward

    def answers(self) -> bool:
        """Whether the stage answers on the server's link node, through the link."""
        url = f"http://{self.server.own.entry.address}:{self.forward.port}/livez"
        argv = ["python3", "-c", PROBE, url]
        return self.server.hosts.run(self.server.own.entry.name, argv, ok=(0, 1), deadline_s=15.0).code == 0

    def pid(self) -> str:
        """The unit's main process."""
        shown = self.client.hosts.run(self.client.own.entry.name, ["systemctl", "show", "-P", "MainPID", UNIT])
        return shown.stdout.strip()

    def kill(self) -> None:
        """SIGKILL to the unit's processes."""
        self.client.hosts.run(self.client.own.entry.name, ["systemctl", "kill", "-s", "KILL", UNIT])

    def drop(self) -> None:
        """On the client's node, everything that goes to the server's ssh port is lost."""
        chain = "chain out {\ntype filter hook output priority 0;\ntcp dport 22 drop;\n}"
        rules = f"table inet {TABLE} {{\n{chain}\n}}\n"
        self.client.hosts.run(self.client.own.entry.name, ["nft", "-f", "-"], stdin=rules)

    def mend(self) -> None:
        """Take the rule away; silent if it is gone."""
        self.client.hosts.run(self.client.own.entry.name, ["nft", "delete", "table", "inet", TABLE], ok=(0, 1))


@pytest.fixture
def link(doors: Mapping[str, Site], settings: Settings) -> Iterator[Link]:
    """The link, mended afterwards."""
    service = stages.load()[-1].service
    forward = next(row for row in settings.link.forwards if row.service == service)
    made = Link(doors[settings.link.server], doors[settings.link.client], forward)
    assert made.answers()
    yield made
    made.mend()


@pytest.mark.breaks
def test_a_killed_link_is_back_within_the_budget(link: Link, cli: Cli, figure: Callable[[str], None]) -> None:
    """The ssh is killed; systemd starts another, the far end has let go of the ports, and the stage answers again."""
    before = link.pid()
    started = time.monotonic()
    link.kill()
    back = wait_until(
        "link: another ssh, answering",
        lambda: (link.pid(), link.answers()),
        lambda seen: seen[0] not in {before, "0"} and seen[1],
        never,
        deadline_s=cli.budget("drill.link_back_s"),
        every_s=0.5,
    )
    figure(f"killed -> answers again in {time.monotonic() - started:.1f} s")
    assert back[0] != before


@pytest.mark.breaks
def test_a_link_whose_packets_were_lost_is_back_within_the_budget(
    link: Link, settings: Settings, cli: Cli, figure: Callable[[str], None]
) -> None:
    """Packets are lost until both ends have noticed; the time counts from when the network is whole again."""
    before = link.pid()
    link.drop()
    noticed_s = settings.link.keepalive_s * (settings.link.keepalive_count + 3)
    cut = time.monotonic()
    wait_until("link: the ssh gave up", link.pid, lambda pid: pid != before, never, deadline_s=noticed_s, every_s=0.5)
    noticed = time.monotonic() - cut
    link.mend()
    started = time.monotonic()
    wait_until("link: answering", link.answers, bool, never, deadline_s=cli.budget("drill.link_back_s"), every_s=0.5)
    back = time.monotonic() - started
    figure(f"packets lost: noticed after {noticed:.1f} s; network whole -> answers again in {back:.1f} s")
    assert link.pid() != before
