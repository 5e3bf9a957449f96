"""apps/*/chart.toml: order, whose site and environment it is for, errors that name file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision import releases
from provision.errors import SettingsError
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


def within(apps: Path) -> Settings:
    """The rehearsal's settings with these applications."""
    return SETTINGS.model_copy(update={"apps": str(apps)})


def test_what_is_needed_comes_first(apps: Path) -> None:
    app(apps, "aaa", needs='["zzz"]')
    app(apps, "zzz")
    assert [release.name for release in releases.load(apps)] == ["zzz", "aaa"]


def test_a_site_has_its_own_releases_only(apps: Path) -> None:
    app(apps, "here")
    app(apps, "there", site="chi-uc")
    assert [release.name for release in releases.at("chi-uc", within(apps))] == ["there"]


def test_what_is_for_all_is_at_each_site_as_its_own(apps: Path) -> None:
    app(apps, "it", site="all")
    assert [(release.name, release.site) for release in releases.every(within(apps))] == [
        ("it", "kvm-tacc"),
        ("it", "chi-uc"),
    ]


def test_another_environment_s_release_is_neither_there_nor_needed(apps: Path) -> None:
    app(apps, "it", needs='["driver", "operator"]')
    app(apps, "driver")
    app(apps, "operator", more='environments = ["chameleon"]\n')
    found = releases.at("kvm-tacc", within(apps))
    assert {release.name: release.needs for release in found} == {"driver": (), "it": ("driver",)}


def test_an_environment_is_as_patient_as_its_machines_are_slow(apps: Path) -> None:
    app(apps, "it")
    for patience, deadline_s in ((1.0, 60), (2.5, 150)):
        settings = within(apps).model_copy(update={"patience": patience})
        assert [release.deadline_s for release in releases.at("kvm-tacc", settings)] == [deadline_s]
    assert (load("rehearsal").patience, load("chameleon", platform="it").patience) == (3.0, 1.0)


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


def test_secrets_gather_their_keys(apps: Path) -> None:
    app(apps, "one", secrets='["db/password", "db/user"]')
    app(apps, "two", secrets='["db/password", "other/key"]')
    assert releases.secret_keys(releases.load(apps)) == {
        ("data", "db"): ("password", "user"),
        ("data", "other"): ("key",),
    }
