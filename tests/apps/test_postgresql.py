"""PostgreSQL's chart: roles have their Secrets, migrations their numbers, scripts only variables that the pod sets."""

from __future__ import annotations

import re
from pathlib import Path

from provision import releases, values
from provision.settings import load

SETTINGS = load("rehearsal")
RELEASE = releases.named("postgresql", "kvm-tacc", SETTINGS)
GIVEN = values.of(RELEASE, SETTINGS)
FILES = RELEASE.folder / "chart/files"
APPLICATIONS = {"tandem", "mlflow", "mlflow_auth", "label_studio", "argo"}


def test_every_role_has_its_password_from_a_secret_of_its_own() -> None:
    secrets = [role["secret"] for role in GIVEN["roles"]]
    assert len(set(secrets)) == len(secrets)
    assert {f"{secret}/password" for secret in secrets} <= set(RELEASE.secrets)


def test_every_database_has_one_owner() -> None:
    owned = [name for role in GIVEN["roles"] for name in role.get("owns", ())]
    assert sorted(owned) == sorted(APPLICATIONS)
    assert GIVEN["schema"]["database"] in owned


def test_migrations_are_numbered_without_a_gap() -> None:
    names = sorted(path.name for path in (FILES / "migrations").iterdir())
    assert [name[:5] for name in names] == [f"{number:04d}_" for number in range(1, len(names) + 1)]
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", name) for name in names)


def test_scripts_use_only_what_the_pod_sets() -> None:
    template = (RELEASE.folder / "chart/templates/postgresql.yaml").read_text()
    set_there = set(re.findall(r"\{name: ([A-Z_]+), value:", template))
    for script in FILES.glob("*.sh"):
        used = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", script.read_text()))
        assert used <= set_there | assigned(script), script.name


def assigned(script: Path) -> set[str]:
    return set(re.findall(r"\b([A-Z][A-Z_]+)=", script.read_text())) | {
        name for line in re.findall(r"read -r (.*)", script.read_text()) for name in line.split()
    }
