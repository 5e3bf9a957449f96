"""Settings: both environments load; a wrong file names file -> key -> what was expected; the sites never overlap."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from provision import releases, settings
from provision.errors import SettingsError
from provision.settings import Settings
from serving import stages

ENVIRONMENTS = ("rehearsal", "chameleon")
REHEARSAL = settings.ENVIRONMENTS / "rehearsal.toml"


@pytest.fixture(params=ENVIRONMENTS)
def loaded(request: pytest.FixtureRequest) -> Settings:
    return settings.load(request.param, platform="vision")


def parse(text: str, name: str = "mine.toml") -> Settings:
    return settings.parse(Path(name), text, env="mine")


def refusal(text: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        parse(text)
    assert caught.value.exit_code == 2
    return caught.value


def rehearsal(old: str = "", new: str = "") -> str:
    text = REHEARSAL.read_text()
    assert old in text
    return text.replace(old, new, 1) if old else text


def test_every_environment_file_is_one_of_the_two() -> None:
    assert sorted(path.stem for path in settings.ENVIRONMENTS.glob("*.toml")) == sorted(ENVIRONMENTS)


def test_the_rehearsal_is_the_default() -> None:
    assert settings.load().env == "rehearsal"


def test_the_environment_variable_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_ENV", "chameleon")
    monkeypatch.setenv("TANDEM_PLATFORM", "vision")
    assert (settings.load().env, settings.load().platform) == ("chameleon", "vision")
    assert settings.load("rehearsal").env == "rehearsal"


def test_an_unknown_environment_names_those_there_are() -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load("prodcution")
    assert "chameleon, rehearsal" in caught.value.why
    assert caught.value.next


def test_a_shared_testbed_needs_a_platform_name() -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load("chameleon")
    assert "chameleon.toml -> platform -> " in caught.value.why


def test_an_unknown_key_is_named_with_its_file() -> None:
    error = refusal(rehearsal("cpu_scale", "cpu_scael"))
    assert "mine.toml -> cpu_scael -> no such key" in error.why


def test_an_unknown_key_deep_inside_is_named_with_its_path() -> None:
    error = refusal(rehearsal("volume = { gib = 50", "volume = { gibs = 50"))
    assert "mine.toml -> sites.kvm-tacc.volume.gib -> Field required" in error.why
    assert "mine.toml -> sites.kvm-tacc.volume.gibs -> no such key" in error.why


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("cpu_scale = 0.04", "cpu_scale = 3", "cpu_scale"),
        ('cidr = "10.31.1.0/24"', 'cidr = "10.31.1.1/24"', "sites.kvm-tacc.network.cidr"),
        ('engine = "kubespray"', 'engine = "k3s"', "kubernetes.engine"),
        ('kind = "flavor:instance"', 'kind = "flavour"', "sites.kvm-tacc.lease.kind"),
        ("amount = 3", "amount = 0", "sites.kvm-tacc.lease.amount"),
        ('platform = "rehearsal"', 'platform = "No Capitals"', "platform"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(old: str, new: str, key: str) -> None:
    lines = refusal(rehearsal(old, new)).why.splitlines()
    assert [line for line in lines if line.startswith(f"mine.toml -> {key} -> ")]


def test_several_faults_are_all_told() -> None:
    text = rehearsal("cpu_scale = 0.04", "cpu_scale = 3").replace('engine = "kubespray"', 'engine = "k3s"')
    error = refusal(text)
    assert error.what == "mine.toml: 2 wrong"
    assert len(error.why.splitlines()) == 2


@pytest.mark.parametrize("name", ["vision-kvm-tacc", "chi-uc", "a-chi-uc-b"])
def test_a_platform_is_not_called_like_a_site(name: str) -> None:
    """Its leases would begin like another platform's, which could then take them for its own."""
    with pytest.raises(SettingsError) as caught:
        settings.load("rehearsal", platform=name)
    assert "without the name of a site" in caught.value.why


def test_what_is_not_toml_says_where() -> None:
    error = refusal("platform = \n")
    assert error.what == "mine.toml: not TOML"
    assert "line 1" in error.why


def test_settings_are_frozen(loaded: Settings) -> None:
    with pytest.raises(ValueError, match="frozen"):
        loaded.platform = "other"


def test_no_two_networks_of_the_platform_overlap(loaded: Settings) -> None:
    """Routes through the link would be ambiguous."""
    networks = [
        (f"{name}.{kind}", cidr)
        for name, site in loaded.sites.items()
        for kind, cidr in (("hosts", site.network.cidr), ("pods", site.pods_cidr), ("services", site.services_cidr))
    ]
    assert len(networks) == 6
    assert [(a, b) for (a, x), (b, y) in combinations(networks, 2) if x.overlaps(y)] == []


def test_every_address_lies_in_its_network(loaded: Settings) -> None:
    for site in loaded.sites.values():
        assert site.network.gateway in site.network.cidr
        assert [node.name for node in site.nodes if node.address not in site.network.cidr] == []
        assert [node.name for node in site.nodes if not node.pod_cidr.subnet_of(site.pods_cidr)] == []


def test_no_address_is_given_twice(loaded: Settings) -> None:
    for site in loaded.sites.values():
        addresses = [node.address for node in site.nodes] + [site.network.gateway]
        assert len(set(addresses)) == len(addresses)
        assert len({node.pod_cidr for node in site.nodes}) == len(site.nodes)


def test_each_site_has_one_entry_one_control_plane_and_its_devices_on_real_nodes(loaded: Settings) -> None:
    for site in loaded.sites.values():
        assert [node.name for node in site.nodes if node.floating] == [site.entry.name]
        assert len(site.in_group("kube_control_plane")) == 1
        devices = [device.node for device in (site.volume, site.gpu) if device]
        assert [name for name in devices if site.node(name).name != name] == []


def test_the_link_joins_two_sites_and_each_is_the_other_s_peer(loaded: Settings) -> None:
    ends = {loaded.link.client, loaded.link.server}
    assert ends == set(loaded.sites)
    assert {loaded.peer_of(end) for end in ends} == ends
    assert loaded.peer_of(loaded.link.client) == loaded.link.server


def test_forwards_have_their_own_ports_and_lead_into_the_other_site_s_services(loaded: Settings) -> None:
    for forward in loaded.link.forwards:
        assert forward.target_ip in loaded.sites[loaded.peer_of(forward.listens)].services_cidr
        assert forward.target_port > 0
    listeners = [(forward.listens, forward.port) for forward in loaded.link.forwards]
    assert len(set(listeners)) == len(listeners)
    assert len({forward.service for forward in loaded.link.forwards}) == len(loaded.link.forwards)


def test_two_forwards_share_an_address_only_when_they_share_the_service(loaded: Settings) -> None:
    owners: dict[str, set[str]] = {}
    for forward in loaded.link.forwards:
        owners.setdefault(str(forward.target_ip), set()).add(forward.target.rsplit(":", 1)[0])
    assert {address: names for address, names in owners.items() if len(names) > 1} == {}


def test_every_serving_stage_crosses_the_link_on_its_port(loaded: Settings) -> None:
    crossing = {forward.service: forward.port for forward in loaded.link.forwards}
    assert {stage.service: crossing.get(stage.service) for stage in stages.load()} == {
        stage.service: stage.port for stage in stages.load()
    }


def test_gpu_shares_hold_all_stages(loaded: Settings) -> None:
    offered = sum(site.gpu.shares * site.gpu.count for site in loaded.sites.values() if site.gpu)
    assert sum(stage.gpu_shares * stage.replicas for stage in stages.load()) <= offered


def test_names_carry_platform_site_role_and_number(loaded: Settings) -> None:
    assert loaded.name("kvm-tacc", "node", 2) == "vision-kvm-tacc-node-2"
    assert loaded.name("chi-uc", "link") == "vision-chi-uc-link"


def test_what_is_simulated_is_said_where_it_is(loaded: Settings) -> None:
    cards = [site.gpu.simulated for site in loaded.sites.values() if site.gpu]
    assert any(cards) == ("GPU" in loaded.simulated)
    driver = "StorageClass object: CSI shim"
    shims = [release.name for release in releases.at("chi-uc", loaded) if release.name.endswith("-shim")]
    assert bool(shims) == (driver in loaded.simulated) == (driver in loaded.caveats)
    assert any(cards) == ("GPU: simulated" in loaded.caveats)


def test_keys_lie_outside_the_checkout(loaded: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TANDEM_CONFIG")
    assert not loaded.config_dir.is_relative_to(settings.ROOT)
    assert not loaded.clouds_path.is_relative_to(settings.ROOT)
    assert loaded.config_dir.name == "vision"


def test_the_rehearsals_clouds_lie_beside_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_CONFIG", "/elsewhere")
    loaded = settings.load("rehearsal")
    assert loaded.clouds_path.parent == loaded.config_dir
