from __future__ import annotations

import re
from pathlib import Path

import pytest

from serving import stages
from serving.router.config import Config, from_env

TEXT = stages.PATH.read_text(encoding="utf-8")


def test_the_table_has_the_four_stages_in_order_of_promotion() -> None:
    assert tuple(stage.name for stage in stages.load()) == ("testing", "staging", "canary", "production")


def test_every_stage_has_a_port_of_its_own_and_one_share() -> None:
    found = stages.load()
    assert [stage.port for stage in found] == [18001, 18002, 18003, 18004]
    assert {stage.gpu_shares for stage in found} == {1}
    assert found[0].service == "serving-testing"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("port = 18002", "port = 18001", "four different ports"),
        ("port = 18002", 'port = "18002"', "stages.staging.port: expected a whole number"),
        ("port = 18002", "", r"stages.staging: missing \['port'\]"),
        ("port = 18002", "port = 18002\nspeed = 3", r"unknown \['speed'\]"),
        ("[stages.canary", "[stages.kanary", r"missing \['canary'\], unknown \['kanary'\]"),
        ("floor = { memory_mib = 448 }", "floor = { memory_mib = 9999 }", "floor <= request <= limit"),
        ("replicas = 1", "replicas = 0", "stages.testing.replicas: expected a whole number >= 1"),
        ("env = {}", "env = { THREADS = 2 }", "stages.testing.env.THREADS: expected a string"),
    ],
)
def test_a_wrong_table_names_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "stages.toml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(stages.StagesInvalid, match=message):
        stages.load(path)


def test_a_cpu_begins_with_int8_and_a_gpu_with_fp32() -> None:
    assert stages.load_precision() == stages.Precision(cpu="int8", gpu="fp32")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('cpu = "int8"', 'cpu = "int4"', "precision.cpu: expected one of"),
        ('gpu = "fp32"', 'gpu = "int8"', "precision.gpu: expected one of"),
        ('gpu = "fp32"', "", r"precision: missing \['gpu'\]"),
    ],
)
def test_a_wrong_precision_names_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "stages.toml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(stages.StagesInvalid, match=message):
        stages.load_precision(path)


def test_the_router_has_a_port_of_its_own_and_gives_the_canary_a_small_share() -> None:
    router = stages.load_router()
    assert router.port not in {stage.port for stage in stages.load()}
    assert 0 < router.canary_share <= 0.2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("canary_share = 0.05", "canary_share = 1.5", "router.canary_share: expected a number from 0 to 1"),
        ("canary_share = 0.05", "canary_share = true", "router.canary_share: expected a number from 0 to 1"),
        ("canary_share = 0.05", "", r"router: missing \['canary_share'\]"),
        ("port = 18005", "port = 0", "router.port: expected a whole number"),
        ("floor = { memory_mib = 256 }", "floor = { memory_mib = 9999 }", "router.resources: expected floor"),
        ("[router]", "[ruter]", "router: missing"),
    ],
)
def test_a_wrong_router_names_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "stages.toml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(stages.StagesInvalid, match=message):
        stages.load_router(path)


def test_every_limit_of_the_router_that_the_table_sets_is_one_it_knows() -> None:
    given = stages.load_router().env
    assert {name.lower() for name in given} <= set(Config.model_fields)
    from_env(given)


def test_the_loader_needs_the_standard_library_only() -> None:
    imported = re.findall(r"^(?:from|import) (\w+)", Path(stages.__file__).read_text(encoding="utf-8"), re.MULTILINE)
    assert set(imported) <= {"__future__", "collections", "dataclasses", "pathlib", "tomllib", "typing"}
