"""The values of a release: merged, addressed, scaled; and the hash over all that is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provision import releases, values
from provision.errors import SettingsError
from provision.releases import Release
from provision.settings import Settings, load
from tests.test_releases import app, apps

__all__ = ["apps"]

SETTINGS = load("rehearsal")
GIVEN = {"platform": "rehearsal", "site": "kvm-tacc"}


def only(apps: Path) -> Release:
    return releases.load(apps)[0]


def full_size() -> Settings:
    return SETTINGS.model_copy(update={"cpu_scale": 1.0, "memory_scale": 1.0})


def test_values_of_the_site_win_over_those_of_the_environment(apps: Path) -> None:
    folder = app(apps, "it")
    (folder / "values.yaml").write_text("a: {x: 1, y: 1, z: 1}\nlist: [1, 2]\n")
    (folder / "values.rehearsal.yaml").write_text("a: {y: 2, z: 2}\nlist: [3]\n")
    (folder / "values.kvm-tacc.yaml").write_text("a: {z: 3}\n")
    assert values.of(only(apps), SETTINGS) == {"a": {"x": 1, "y": 2, "z": 3}, "list": [3], **GIVEN}


def test_values_come_from_a_table(apps: Path) -> None:
    app(apps, "it", more='[values_from]\nstages = { file = "stages.toml", table = "stages" }\n')
    (apps.parent / "stages.toml").write_text("[stages.testing]\nport = 1\n")
    assert values.of(only(apps), SETTINGS) == {"stages": {"testing": {"port": 1}}, **GIVEN}


def test_a_missing_table_is_named(apps: Path) -> None:
    app(apps, "it", more='[values_from]\nstages = { file = "stages.toml", table = "stages" }\n')
    with pytest.raises(SettingsError, match=r"values_from\.stages"):
        values.of(only(apps), SETTINGS)


def test_an_image_made_here_is_known_by_its_sources(apps: Path) -> None:
    app(apps, "it", more='made_from = ["code", "code.lock"]\n')
    (apps.parent / "code" / "inner").mkdir(parents=True)
    for name in ("code/a.py", "code/inner/b.json", "code/inner/b.pyc", "code.lock"):
        (apps.parent / name).write_text(name)
    made = [values.of(only(apps), SETTINGS)["madeFrom"]]
    for name in ("code/a.py", "code/inner/b.json", "code.lock"):
        (apps.parent / name).write_text("other")
        made.append(values.of(only(apps), SETTINGS)["madeFrom"])
    assert len(set(made)) == 4
    (apps.parent / "code/inner/b.pyc").write_text("other")
    assert values.of(only(apps), SETTINGS)["madeFrom"] == made[-1]
    assert "madeFrom" not in values.of(only(apps), load("chameleon", platform="case"))


@pytest.mark.parametrize("release", [one for one in releases.load() if one.made_from], ids=lambda release: release.name)
def test_what_an_image_is_made_from_is_there(release: Release) -> None:
    assert [part for part in release.made_from if not (release.apps.parent / part).exists()] == []


def addresses(name: str, site: str) -> Any:
    return values.fixed_addresses(releases.named(name, site, SETTINGS), SETTINGS)


def test_what_the_link_leads_to_has_a_fixed_address() -> None:
    assert addresses("postgresql", "kvm-tacc") == {"service": {"clusterIP": "10.233.0.54"}}
    found = addresses("serving", "chi-uc")["service"]["clusterIPs"]
    assert found["testing"] == "10.234.0.51"
    assert list(found) == ["testing", "staging", "canary", "production"]


def test_what_the_link_does_not_lead_to_has_none() -> None:
    assert addresses("block-storage", "kvm-tacc") == {}
    # In the same namespace's name, but at the site where the link's listener is, not its end.
    assert addresses("prometheus-agent", "chi-uc") == {}


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
    found = values.scale({"deep": [sized(cpu, memory, limit, floor)]}, 0.1, 0.5)["deep"][0]["resources"]
    told = (found["requests"]["cpu_millicores"], found["requests"]["memory_mib"], found["limits"]["memory_mib"])
    assert told == scaled


def test_full_size_stays_full_size() -> None:
    assert values.scale(sized(1000, 2048, 4096, 320), 1.0, 1.0) == sized(1000, 2048, 4096, 320)


def test_other_mappings_called_resources_stay(apps: Path) -> None:
    assert values.scale({"resources": {"requests": {"storage": "1Gi"}}}, 0.1, 0.5) == {
        "resources": {"requests": {"storage": "1Gi"}}
    }


def test_inputs_change_with_values_chart_and_scale(apps: Path) -> None:
    folder = app(apps, "it")
    (folder / "values.yaml").write_text("a: 1\n" + "resources: {requests: {cpu_millicores: 500}}\n")
    seen = [values.inputs(only(apps), SETTINGS), values.inputs(only(apps), full_size())]
    (folder / "chart" / "templates" / "new.yaml").write_text("kind: X\n")
    seen.append(values.inputs(only(apps), SETTINGS))
    (folder / "values.yaml").write_text("a: 2\n")
    seen.append(values.inputs(only(apps), SETTINGS))
    assert len(set(seen)) == len(seen)
    assert values.inputs(only(apps), SETTINGS) == seen[-1]
