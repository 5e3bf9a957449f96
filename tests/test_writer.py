"""The marker that admits one writer, over an object store that is a dictionary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from provision import writer
from provision.errors import PreconditionMissing, RunLocked, StepFailed
from provision.settings import Settings, load
from provision.site import Site

CONTAINER = "case-chi-uc-writer"


@dataclass
class FakeStore:
    """late: what appears right after the next write, as if somebody else had been as quick."""

    objects: dict[str, str] = field(default_factory=dict)
    containers: set[str] = field(default_factory=set)
    late: dict[str, str] = field(default_factory=dict)
    lasts: list[int] = field(default_factory=list)

    def create_container(self, name: str) -> None:
        self.containers.add(name)

    def delete_if_empty(self, name: str) -> None:
        if not self.objects:
            self.containers.discard(name)

    def write_object(self, container: str, name: str, text: str, *, lasts_s: int = 0) -> None:
        assert container in self.containers
        self.objects[name] = text
        self.objects |= self.late
        self.lasts.append(lasts_s)

    def read_object(self, container: str, name: str) -> str | None:
        return self.objects.get(name)

    def list_objects(self, container: str) -> tuple[str, ...]:
        return tuple(self.objects)

    def delete_object(self, container: str, name: str) -> None:
        self.objects.pop(name, None)


class Silent(FakeStore):
    """The site is out of reach."""

    def list_objects(self, container: str) -> tuple[str, ...]:
        raise PreconditionMissing("chi-uc: list objects: the cloud does not answer")


OTHER = {"ffff": json.dumps({"token": "ffff", "what": "provision.all", "who": "ann", "where": "hall", "since": "then"})}


@pytest.fixture
def testbed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.setenv("TANDEM_CONFIG", str(tmp_path))
    return load("chameleon", platform="case")


def sites(store: FakeStore) -> Mapping[str, Site]:
    site = cast(Site, SimpleNamespace(cloud=SimpleNamespace(store=store)))
    return {"chi-uc": site, "kvm-tacc": cast(Site, None)}


def test_while_a_run_writes_its_marker_says_who_where_since(testbed: Settings) -> None:
    store = FakeStore()
    with writer.admitted(testbed, sites(store), "provision.all"):
        (text,) = store.objects.values()
        told = json.loads(text)
        assert told["what"] == "provision.all"
        assert set(told) == {"token", "what", "who", "where", "since"}
        assert store.lasts == [writer.LASTS_S]
    assert (store.objects, store.containers) == ({}, set())


def test_a_second_run_elsewhere_is_refused_with_the_first_one_s_words(testbed: Settings) -> None:
    store = FakeStore(dict(OTHER), {CONTAINER})
    with pytest.raises(RunLocked) as caught, writer.admitted(testbed, sites(store), "provision.all"):
        raise AssertionError("admitted")
    assert caught.value.exit_code == 3
    assert caught.value.why == "provision.all by ann on hall, since then"
    assert caught.value.next.endswith(f"object delete {CONTAINER} ffff")
    assert list(store.objects) == ["ffff"]


def test_of_two_that_begin_at_once_none_goes_on_beside_the_other(testbed: Settings) -> None:
    store = FakeStore(late=dict(OTHER))
    with pytest.raises(RunLocked), writer.admitted(testbed, sites(store), "provision.all"):
        raise AssertionError("admitted")
    assert list(store.objects) == ["ffff"]


def test_a_killed_run_of_the_same_configuration_is_no_other(testbed: Settings) -> None:
    store = FakeStore(dict(OTHER), {CONTAINER})
    testbed.config_dir.mkdir(parents=True)
    (testbed.config_dir / "writer").write_text("ffff")
    with writer.admitted(testbed, sites(store), "provision.all"):
        assert "ffff" not in store.objects
        assert len(store.objects) == 1


def test_a_failing_run_takes_its_marker_away(testbed: Settings) -> None:
    store = FakeStore()
    with pytest.raises(StepFailed), writer.admitted(testbed, sites(store), "provision.all"):
        raise StepFailed("nodes")
    assert store.objects == {}


def test_a_site_out_of_reach_refuses_all_but_the_other_site_s_repair(testbed: Settings) -> None:
    for only in ("", "chi-uc"):
        with pytest.raises(PreconditionMissing), writer.admitted(testbed, sites(Silent()), "provision.all", only):
            raise AssertionError("admitted")
    reached = []
    with writer.admitted(testbed, sites(Silent()), "provision.all", "kvm-tacc"):
        reached.append("kvm-tacc")
    assert reached


def test_an_embedded_platform_has_its_machine_s_lock_only() -> None:
    with writer.admitted(load("rehearsal"), {}, "provision.all"):
        pass
