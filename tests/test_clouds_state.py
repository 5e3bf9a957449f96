"""A tree's files: secrets, credentials, moving from template to live state."""

from __future__ import annotations

import json
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from provision.errors import PreconditionMissing
from rehearsal.clouds import access, state, template
from rehearsal.clouds.layout import TREE_FILE, Places, Tree, read_tree, write_tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree("rehearsal", "chi-uc", tmp_path / "root", tmp_path, tmp_path, tmp_path / "venv-1", tmp_path)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places("rehearsal", tmp_path / "state", tmp_path / "cache", tmp_path / "config")


def test_a_tree_reads_back_as_written(tree: Tree) -> None:
    write_tree(tree)
    assert read_tree(tree.root) == tree


def test_a_state_of_other_versions_is_refused(tree: Tree) -> None:
    state.refuse_other_version(tree)
    write_tree(tree)
    state.refuse_other_version(tree)
    with pytest.raises(PreconditionMissing) as refused:
        state.refuse_other_version(replace(tree, venv=tree.venv.with_name("venv-2")))
    assert "venv-1 then, venv-2 now" in refused.value.why and "rehearsal.reset" in refused.value.next


def test_secrets_are_new_each_time_and_only_ours(tree: Tree) -> None:
    tree.root.mkdir()
    secrets = access.make_secrets()
    assert secrets != access.make_secrets()
    access.write_secrets(tree, secrets)
    access.write_secrets(tree, secrets)
    assert access.read_secrets(tree) == secrets
    assert stat.S_IMODE(tree.file(access.SECRETS_FILE).stat().st_mode) == 0o600


def test_a_user_gets_clouds_yaml_and_an_s3_key(places: Places) -> None:
    key = access.Ec2Key("AK", "SK", "http://10.30.0.20:8080", "us-east-1")
    held = {"kvm-tacc": access.Access("id1", "secret1"), "chi-uc": access.Access("id2", "secret2", key)}
    access.hand_out(places, held)
    clouds = json.loads(places.clouds_file.read_text())["clouds"]
    assert clouds["kvm-tacc"]["auth"]["auth_url"] == "http://10.30.0.10:5000/v3"
    assert clouds["chi-uc"]["region_name"] == "CHI@UC"
    assert clouds["chi-uc"]["auth"]["application_credential_secret"] == "secret2"
    assert json.loads(places.ec2_file.read_text())["access"] == "AK"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (places.clouds_file, places.ec2_file)}
    assert modes == {0o600} and stat.S_IMODE(places.config.stat().st_mode) == 0o700


def test_access_reads_back_as_written(tree: Tree) -> None:
    tree.root.mkdir()
    held = access.Access("id", "secret", access.Ec2Key("AK", "SK", "url", "region"))
    access.write_access(tree, held)
    assert access.read_access(tree.root) == held


def seeded(root: Path, path_in_database: Path) -> None:
    (root / "db").mkdir(parents=True)
    for database, table, column in (
        ("nova_api", "cell_mappings", "database_connection"),
        ("glance", "image_locations", "value"),
    ):
        with sqlite3.connect(root / "db" / f"{database}.db") as connection:
            connection.execute(f"CREATE TABLE {table} ({column})")
            connection.execute(f"INSERT INTO {table} VALUES (?)", (f"sqlite:///{path_in_database}/db/x.db",))
        connection.close()


def test_paths_in_databases_follow_the_root(tmp_path: Path) -> None:
    seeded(tmp_path, Path("/cache/t.building"))
    state.relocate(tmp_path, Path("/cache/t.building"), Path("/state/chi-uc"))
    connection = sqlite3.connect(tmp_path / "db/nova_api.db")
    assert connection.execute("SELECT database_connection FROM cell_mappings").fetchall() == [
        ("sqlite:////state/chi-uc/db/x.db",)
    ]
    connection.close()


def test_a_fresh_state_is_a_private_copy_of_the_template(places: Places) -> None:
    source = template.home(places, "chi-uc")
    elsewhere = Path("/cache/t.building-rehearsal")
    seeded(source, elsewhere)
    write_tree(state.tree_at(places, "chi-uc", source))
    tree_file = source / TREE_FILE
    tree_file.write_text(tree_file.read_text().replace(f'"root": "{source}"', f'"root": "{elsewhere}"'))
    live = state.tree_at(places, "chi-uc", places.root("chi-uc"))
    live.root.parent.mkdir(parents=True)
    template.instantiate(places, live)
    assert stat.S_IMODE(live.root.stat().st_mode) == 0o700
    connection = sqlite3.connect(live.file("db/glance.db"))
    assert connection.execute("SELECT value FROM image_locations").fetchall() == [(f"sqlite:///{live.root}/db/x.db",)]
    connection.close()


def test_templates_of_the_two_sites_are_apart(places: Places) -> None:
    assert template.home(places, "chi-uc") != template.home(places, "kvm-tacc")


def test_a_killed_build_is_found_by_its_platform(places: Places) -> None:
    for platform in ("rehearsal", "other"):
        root = places.cache / "templates" / f"openstack-1-chi-uc.building-{platform}"
        write_tree(replace(state.tree_at(places, "chi-uc", root), platform=platform))
    assert [tree.platform for tree in template.list_builds(places)] == ["rehearsal"]


def test_the_quicker_build_stays(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mark").write_text(name)
    state.publish(tmp_path / "first", tmp_path / "final")
    state.publish(tmp_path / "second", tmp_path / "final")
    assert (tmp_path / "final/mark").read_text() == "first" and not (tmp_path / "second").exists()
