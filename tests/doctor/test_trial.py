"""The smallest lease there is: what is done in which order, and that everything goes again whatever happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from provision.commands import Options
from provision.doctor import trial
from provision.doctor.finding import Finding
from provision.errors import LeaseUnavailable, PreconditionMissing, StepFailed, UsageError
from provision.settings import Settings, load
from provision.site import Site
from provision.state import Run
from provision.step import Change
from provision.steps import nodes

PLAN = [
    Change("create", "file id_ed25519", "none"), Change("create", "key case-kvm-tacc-key", "none"),
    Change("create", "server case-kvm-tacc-node-1", "none"), Change("run", "boot node1", "new"),
    Change("update", "auth node1", "absent"),
]  # fmt: skip


@dataclass
class World:
    """What happened, in order; an entry of `breaks` raises when its turn comes. left: leftovers by site."""

    log: list[str] = field(default_factory=list)
    breaks: dict[str, Exception] = field(default_factory=dict)
    left: dict[str, list[str]] = field(default_factory=dict)
    objects: dict[str, str] = field(default_factory=dict)
    garbles: bool = False

    def do(self, what: str) -> Any:
        self.log.append(what)
        if what in self.breaks:
            raise self.breaks[what]

    def write_object(self, container: str, name: str, text: str) -> None:
        self.do(f"write {container}")
        self.objects[container] = "other" if self.garbles else text

    def site(self, name: str, settings: Settings) -> Site:
        store = SimpleNamespace(
            create_container=lambda container: self.do(f"container {container}"),
            write_object=self.write_object,
            read_object=lambda container, _name: self.objects.get(container),
            delete_container=lambda container: self.do(f"delete {container}"),
        )
        cloud = SimpleNamespace(
            store=store,
            floating_address=lambda: IPv4Address("192.0.2.7"),
            list_leftovers=lambda: self.left.get(name, []),
            count_servers=lambda: 0,
        )
        hosts = SimpleNamespace(hang_up_all=lambda: self.do("hang up"))
        own = settings.sites[name]
        return cast(Site, SimpleNamespace(name=name, settings=settings, own=own, cloud=cloud, hosts=hosts))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    made = World()

    def opened(settings: Settings, _run: Run, _transports: object = None) -> Mapping[str, Site]:
        return {name: made.site(name, settings) for name in settings.sites}

    def converged(step: Any, _site: Site) -> int:
        made.do(f"up {step.NAME}")
        return 2

    def undone(step: Any, _site: Site, *, data: bool) -> Sequence[Change]:
        assert data
        made.do(f"down {step.NAME}")
        return []

    monkeypatch.setenv("TANDEM_CONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(trial, "Run", lambda _folder: Run(tmp_path))
    monkeypatch.setattr(trial, "open_sites", opened)
    monkeypatch.setattr(trial, "converge", converged)
    monkeypatch.setattr(trial, "undo", undone)
    monkeypatch.setattr(nodes, "look", lambda _site, _want: None)
    monkeypatch.setattr(nodes, "plan", lambda _want, _have: PLAN)
    monkeypatch.setattr(nodes, "apply", lambda _site, change: made.do(change.what))
    monkeypatch.setattr("provision.writer.admitted", lambda *_args: nullcontext())
    return made


def findings(options: Options | None = None) -> list[Finding]:
    return list(trial.findings(load("chameleon", platform="vision"), options or Options(yes=True)))


DOWN = ["down nodes", "down network", "down lease", "delete vision-trial-chi-uc-trial", "hang up"]


def test_all_of_it_goes_up_and_down_in_order(world: World) -> None:
    found = findings()
    assert [(finding.name, finding.ok) for finding in found] == [
        ("trial leased", True), ("trial network", True), ("trial booted and reached", True),
        ("trial object written and read", True), ("trial nothing left", True),
    ]  # fmt: skip
    assert world.log == [
        "up lease", "up network", "file id_ed25519", "key case-kvm-tacc-key", "server case-kvm-tacc-node-1",
        "boot node1", "container vision-trial-chi-uc-trial", "write vision-trial-chi-uc-trial", *DOWN,
    ]  # fmt: skip


@pytest.mark.parametrize("at", ["up lease", "up network", "boot node1", "write vision-trial-chi-uc-trial"])
def test_whatever_fails_everything_is_taken_down(world: World, at: str) -> None:
    world.breaks[at] = LeaseUnavailable("no", why="HTTP 500")
    found = findings()
    assert [finding.ok for finding in found][-2:] == [False, True]
    assert world.log[-5:] == DOWN
    assert found[-2].next == "invoke doctor --env chameleon --live"


def test_an_interrupted_trial_is_taken_down_too(world: World) -> None:
    world.breaks["boot node1"] = cast(Exception, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        findings()
    assert world.log[-5:] == DOWN


def test_what_cannot_be_taken_down_keeps_nothing_else_and_is_told(world: World) -> None:
    world.breaks["down network"] = PreconditionMissing("kvm-tacc: delete router: the cloud does not answer")
    world.left["kvm-tacc"] = ["router vision-trial-kvm-tacc-router"]
    found = findings()
    assert world.log[-5:] == DOWN
    assert (found[-1].name, found[-1].ok) == ("trial nothing left", False)
    assert "kvm-tacc: router vision-trial-kvm-tacc-router" in found[-1].why


def test_an_object_that_reads_otherwise_is_a_failure(world: World) -> None:
    world.garbles = True
    assert [finding.ok for finding in findings()] == [True, True, True, False, True]


def test_nothing_is_made_without_a_yes_and_the_price_comes_first(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("provision.say.has_terminal", lambda: False)
    with pytest.raises(UsageError):
        findings(Options())
    assert world.log == []
    assert "1 m1.small at kvm-tacc for 1 h: 0.02 SU at most" in capsys.readouterr().err


def test_the_exchange_is_kept_for_both_sites_even_of_a_failure(world: World, tmp_path: Path) -> None:
    world.breaks["up lease"] = StepFailed("no")
    findings()
    runs = [path.name for path in (tmp_path / "runs").glob("*/exchange.*.json")]
    assert sorted(runs) == ["exchange.chi-uc.json", "exchange.kvm-tacc.json"]


def test_the_trial_is_a_platform_of_its_own_in_a_state_folder_of_its_own() -> None:
    settings = load("chameleon", platform="a-very-long-platform")
    shrunk, small = trial.shrink(settings)
    assert (shrunk.platform, small) == ("a-very-long-pl-trial", "kvm-tacc")
    assert shrunk.state_dir != settings.state_dir
    assert shrunk.config_dir != settings.config_dir
    site = shrunk.sites[small]
    assert (site.lease.flavor, site.lease.amount, site.lease.hours, len(site.nodes), site.volume) == (
        "m1.small", 1, 1, 1, None,
    )  # fmt: skip
    assert Settings.model_validate(shrunk.model_dump()).platform == shrunk.platform


def test_a_rehearsal_that_holds_a_platform_has_no_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provision.embedded.is_up", lambda _settings: True)
    monkeypatch.setattr(
        trial,
        "open_sites",
        lambda settings, *_more: {"kvm-tacc": SimpleNamespace(cloud=SimpleNamespace(count_servers=lambda: 3))},
    )
    (found,) = trial.findings(load("rehearsal"), Options())
    assert (found.ok, found.why) == (False, "a rehearsal holds one platform, and 3 servers stand")
