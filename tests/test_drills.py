"""The pure parts of the drills: faults as data, what counts as the right check, what the clouds' lists say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from provision.settings import ROOT, load
from verify.drills import cli, faults, listing, zero

NAMES: listing.Names = {
    "server": ("v-a-node-1", "v-a-node-2"),
    "port": ("10.0.0.11", "10.0.0.12"),
    "floating IP": ("1.2.3.4",),
    "volume": ("v-a-block",),
    "lease": ("v-a-lease",),
}
WANTED = {"server": 2, "port": 2, "floating IP": 1, "volume": 1}


def release(*stages: str) -> list[Any]:
    env = [{"name": "STAGE", "value": "x"}, {"name": "MODEL_DIR", "value": "/models/embedder-int8"}]
    container = {"name": "serving", "image": "ghcr.io/tandem/serving:1", "env": env}
    return [
        {"kind": "Service", "metadata": {"name": f"serving-{stages[0]}"}},
        *(
            {
                "kind": "Deployment",
                "metadata": {"name": f"serving-{stage}"},
                "spec": {"template": {"spec": {"containers": [json.loads(json.dumps(container))]}}},
            }
            for stage in stages
        ),
    ]


def test_only_one_stage_is_spoiled() -> None:
    objects = faults.spoiled(release("staging", "canary"), "canary", "print('{{ not a template }}')")
    staging, canary = (item["spec"]["template"]["spec"] for item in objects[1:])
    assert "initContainers" not in staging
    assert canary["initContainers"][0]["image"] == canary["containers"][0]["image"]
    assert canary["initContainers"][0]["command"][-2:] == ["/models/embedder-int8", "/wrong/embedder"]
    folders = [one["value"] for one in canary["containers"][0]["env"] if one["name"] == "MODEL_DIR"]
    assert folders == ["/wrong/embedder"]
    assert canary["volumes"] == [{"name": "wrong", "emptyDir": {}}]


def test_a_stage_that_is_not_there_is_not_silently_left_well() -> None:
    with pytest.raises(LookupError, match="0 Deployments of stage canary"):
        faults.spoiled(release("staging"), "canary", "")


def test_the_chart_carries_objects_as_they_are(tmp_path: Path) -> None:
    objects = faults.spoiled(release("canary"), "canary", "print('{{ not a template }}')")
    faults.write_chart(tmp_path, objects)
    assert list(yaml.safe_load_all((tmp_path / "objects.yaml").read_text())) == objects
    assert "not a template" not in (tmp_path / "templates" / "objects.yaml").read_text()


def test_every_fault_is_found_and_repaired_at_a_site_that_exists() -> None:
    settings = load("rehearsal")
    assert [fault.name for fault in faults.FAULTS if fault.site not in settings.sites] == []
    verify = ROOT / "verify"
    areas = {area for fault in faults.FAULTS for area in fault.areas}
    assert [area for area in areas if not (verify / f"check_{area}.py").exists()] == []


def test_red_where_it_must_be_and_nowhere_else() -> None:
    red = ["check_onnx::test_vectors[canary]", "check_charts::test_serving[canary]", "check_tunnel::test_x"]
    assert cli.hit(red, r"check_onnx::.*canary") == red[:1]
    assert cli.unexpected(red, r"check_onnx::", (r"check_charts::",)) == ["check_tunnel::test_x"]


def test_evidence_is_counted_for_each_red_check(tmp_path: Path) -> None:
    own, pointed = (tmp_path / name for name in ("check_a.test_x.kvm-tacc", "check_a.test_y.kvm-tacc"))
    (own / "kvm-tacc").mkdir(parents=True)
    (own / "kvm-tacc" / "pods.txt").write_text("")
    pointed.mkdir()
    (own / "summary.txt").write_text("kvm-tacc: 1 files")
    (pointed / "summary.txt").write_text(f"kvm-tacc: as in {own}")
    red = [f"check_a::test_{letter}[kvm-tacc]" for letter in "xyz"]
    assert list(cli.collected(tmp_path, red).values()) == [1, 1, 0]


def test_what_stands_is_as_wanted() -> None:
    assert (listing.wrong(NAMES, WANTED), listing.surplus(NAMES, WANTED), listing.doubles(NAMES)) == ([], [], [])


def test_one_too_many_is_named() -> None:
    names = {**NAMES, "server": (*NAMES["server"], "v-a-node-2")}
    assert listing.surplus(names, WANTED) == ["3 x server, want 2: v-a-node-1, v-a-node-2, v-a-node-2"]
    assert listing.doubles(names) == ["2 x server v-a-node-2"]


def test_half_way_less_is_fine_but_not_at_the_end() -> None:
    names = {**NAMES, "volume": ()}
    assert listing.surplus(names, WANTED) == []
    assert listing.wrong(names, WANTED) == ["0 x volume, want 1: "]


def test_wanted_counts_come_from_the_settings() -> None:
    settings = load("rehearsal")
    assert listing.expected(settings, "kvm-tacc") == {"server": 3, "port": 3, "floating IP": 1, "volume": 1}
    assert listing.expected(settings, "chi-uc") == {"server": 1, "port": 1, "floating IP": 1, "volume": 0}


def test_a_port_is_known_by_its_address() -> None:
    assert listing.address(SimpleNamespace(fixed_ips=[{"ip_address": "10.0.0.11"}], id="p")) == "10.0.0.11"
    assert listing.address(SimpleNamespace(fixed_ips=[], id="p")) == "p"


def test_steps_begun_are_read_from_events_whose_last_line_is_half_written(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    assert cli.steps_begun(events) == set()
    rows = [{"kind": "step", "step": "network"}, {"kind": "change", "step": "lease"}]
    events.write_text("\n".join(json.dumps(row) for row in rows) + '\n{"kind": "change", "st')
    assert cli.steps_begun(events) == {"lease"}


@pytest.mark.parametrize("commands", [9, 10, 99, 100, 101, 250])
def test_every_command_of_a_drill_has_a_log_of_its_own(commands: int, tmp_path: Path) -> None:
    run = SimpleNamespace(folder=tmp_path / "20261126T000000Z", utc="20261126T000000Z")
    run.folder.mkdir()
    asked = cli.Cli(load("rehearsal"), run)  # type: ignore[arg-type]
    for _ in range(commands):
        log = run.folder / f"{asked._number():03d}.provision.lease.log"
        assert not log.exists()
        log.touch()
    (run.folder / "invoke.log").touch()
    (tmp_path / f"{run.utc}.000").mkdir()
    assert asked._number() == commands + 1


def test_every_application_is_taken_away_once() -> None:
    settings = load("rehearsal")
    wanted = [(release.site, release.name) for release in zero.with_pods(settings)]
    assert sorted((case.site, case.release) for case in zero.ZEROES) == sorted(wanted)


@pytest.mark.parametrize("case", zero.ZEROES, ids=lambda case: f"{case.site}-{case.release}")
def test_a_check_that_shall_notice_exists_and_is_asked(case: zero.Zero) -> None:
    for pattern in (*case.must, *case.may):
        area, _, rest = pattern.removeprefix("check_").partition("::")
        assert area in {asked.partition("::")[0] for asked in case.all_areas}, f"{pattern} would never be seen"
        names = re.findall(r"^def (test_\w+)", (ROOT / "verify" / f"check_{area}.py").read_text(), re.MULTILINE)
        begin = re.match(r"\w*", rest)
        assert begin is not None
        assert any(name.startswith(begin.group()) for name in names), f"nothing in check_{area} like {rest}"
