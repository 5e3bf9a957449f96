"""apps/*/chart.toml: order, errors that name file and key, values that are merged, addressed and scaled."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision import releases
from provision.errors import SettingsError
from provision.releases import Release
from provision.settings import Settings, load

SETTINGS = load("rehearsal")
MINIMAL = """
name = "{name}"
version = "0.1.0"
chart = "chart"
namespace = "data"
site = "{site}"
needs = {needs}
secrets = {secrets}
deadline_s = 60
ready = [{{ kind = "StatefulSet", name = "{name}", condition = "Available" }}]
"""


def app(
    apps: Path, name: str, *, site: str = "kvm-tacc", needs: str = "[]", secrets: str = "[]", more: str = ""
) -> Path:
    folder = apps / name
    (folder / "chart" / "templates").mkdir(parents=True)
    (folder / "chart" / "Chart.yaml").write_text(f"name: {name}\nversion: 0.1.0\n")
    (folder / "chart.toml").write_text(MINIMAL.format(name=name, site=site, needs=needs, secrets=secrets) + more)
    return folder


@pytest.fixture
def apps(tmp_path: Path) -> Path:
    folder = tmp_path / "apps"
    folder.mkdir()
    return folder


def only(apps: Path) -> Release:
    return releases.load(apps)[0]


def full_size() -> Settings:
    return SETTINGS.model_copy(update={"cpu_scale": 1.0, "memory_scale": 1.0})


def test_what_is_needed_comes_first(apps: Path) -> None:
    app(apps, "aaa", needs='["zzz"]')
    app(apps, "zzz")
    assert [release.name for release in releases.load(apps)] == ["zzz", "aaa"]


def test_a_site_has_its_own_releases_only(apps: Path) -> None:
    app(apps, "here")
    app(apps, "there", site="chi-uc")
    assert [release.name for release in releases.at("chi-uc", apps)] == ["there"]


def test_a_circle_is_named(apps: Path) -> None:
    app(apps, "one", needs='["two"]')
    app(apps, "two", needs='["one"]')
    with pytest.raises(SettingsError, match="circle"):
        releases.load(apps)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("colour = 1\n", r"apps/it/chart.toml -> colour -> expected no such key"),
        ('source = "oci://x"\n', r"-> chart -> expected either"),
        ("[requests]\ncpu = 1\n", r"-> requests.cpu -> expected no such key"),
        ("= 1\n", r"-> whole file -> expected TOML"),
    ],
)
def test_a_wrong_key_names_file_and_key(apps: Path, more: str, said: str) -> None:
    app(apps, "it", more=more)
    with pytest.raises(SettingsError, match=said):
        releases.load(apps)


def test_a_need_must_be_a_release_of_the_same_site(apps: Path) -> None:
    app(apps, "it", needs='["other"]')
    app(apps, "other", site="chi-uc")
    with pytest.raises(SettingsError, match="needs"):
        releases.load(apps)


def test_a_release_is_called_like_its_folder(apps: Path) -> None:
    app(apps, "it").rename(apps / "that")
    with pytest.raises(SettingsError, match="-> name -> expected the folder's name"):
        releases.load(apps)


def test_values_of_the_site_win_over_those_of_the_environment(apps: Path) -> None:
    folder = app(apps, "it")
    (folder / "values.yaml").write_text("a: {x: 1, y: 1, z: 1}\nlist: [1, 2]\n")
    (folder / "values.rehearsal.yaml").write_text("a: {y: 2, z: 2}\nlist: [3]\n")
    (folder / "values.kvm-tacc.yaml").write_text("a: {z: 3}\n")
    assert releases.values(only(apps), SETTINGS) == {"a": {"x": 1, "y": 2, "z": 3}, "list": [3]}


def test_values_come_from_a_table(apps: Path) -> None:
    app(apps, "it", more='[values_from]\nstages = { file = "stages.toml", table = "stages" }\n')
    (apps.parent / "stages.toml").write_text("[stages.testing]\nport = 1\n")
    assert releases.values(only(apps), SETTINGS) == {"stages": {"testing": {"port": 1}}}


def test_a_missing_table_is_named(apps: Path) -> None:
    app(apps, "it", more='[values_from]\nstages = { file = "stages.toml", table = "stages" }\n')
    with pytest.raises(SettingsError, match=r"values_from\.stages"):
        releases.values(only(apps), SETTINGS)


def test_what_the_link_leads_to_has_a_fixed_address() -> None:
    assert releases.fixed_addresses(releases.named("postgresql"), SETTINGS) == {"service": {"clusterIP": "10.233.0.54"}}
    found = releases.fixed_addresses(releases.named("serving"), SETTINGS)["service"]["clusterIPs"]
    assert found["testing"] == "10.234.0.51"
    assert list(found) == ["testing", "staging", "canary", "production"]


def test_what_the_link_does_not_lead_to_has_none() -> None:
    assert releases.fixed_addresses(releases.named("block-storage"), SETTINGS) == {}
    # In the same namespace's name, but at the site where the link's listener is, not its end.
    assert releases.fixed_addresses(releases.named("prometheus-agent"), SETTINGS) == {}


def sized(cpu: int, memory: int, limit: int, floor: int) -> dict[str, object]:
    return {
        "resources": {
            "requests": {"cpu_millicores": cpu, "memory_mib": memory},
            "limits": {"memory_mib": limit},
            "floor": {"memory_mib": floor},
        }
    }


@pytest.mark.parametrize(
    ("cpu", "memory", "limit", "floor", "scaled"),
    [
        (1000, 2048, 4096, 320, (100, 1024, 2048)),
        (20, 16, 64, 8, (10, 16, 32)),  # never below 10 millicores and 16 MiB
        (101, 101, 401, 8, (11, 51, 201)),  # rounded up
        (500, 600, 700, 650, (50, 300, 650)),  # a limit stays above the measured need
        (100, 40, 20, 0, (10, 10, 10)),  # a request never exceeds its limit
    ],
)
def test_sizes_shrink_in_bounds(cpu: int, memory: int, limit: int, floor: int, scaled: tuple[int, ...]) -> None:
    found = releases.scale({"deep": [sized(cpu, memory, limit, floor)]}, 0.1, 0.5)["deep"][0]["resources"]
    told = (found["requests"]["cpu_millicores"], found["requests"]["memory_mib"], found["limits"]["memory_mib"])
    assert told == scaled


def test_full_size_stays_full_size() -> None:
    assert releases.scale(sized(1000, 2048, 4096, 320), 1.0, 1.0) == sized(1000, 2048, 4096, 320)


def test_other_mappings_called_resources_stay(apps: Path) -> None:
    assert releases.scale({"resources": {"requests": {"storage": "1Gi"}}}, 0.1, 0.5) == {
        "resources": {"requests": {"storage": "1Gi"}}
    }


def test_inputs_change_with_values_chart_and_scale(apps: Path) -> None:
    folder = app(apps, "it")
    (folder / "values.yaml").write_text("a: 1\n" + "resources: {requests: {cpu_millicores: 500}}\n")
    seen = [releases.inputs(only(apps), SETTINGS), releases.inputs(only(apps), full_size())]
    (folder / "chart" / "templates" / "new.yaml").write_text("kind: X\n")
    seen.append(releases.inputs(only(apps), SETTINGS))
    (folder / "values.yaml").write_text("a: 2\n")
    seen.append(releases.inputs(only(apps), SETTINGS))
    assert len(set(seen)) == len(seen)
    assert releases.inputs(only(apps), SETTINGS) == seen[-1]


def test_secrets_gather_their_keys(apps: Path) -> None:
    app(apps, "one", secrets='["db/password", "db/user"]')
    app(apps, "two", secrets='["db/password", "other/key"]')
    assert releases.secret_keys(releases.load(apps)) == {
        ("data", "db"): ("password", "user"),
        ("data", "other"): ("key",),
    }
