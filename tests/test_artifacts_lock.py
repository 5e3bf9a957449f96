"""The lock of artifacts: what is refused, and what a key depends on."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import serving
from provision import releases, settings
from provision.errors import SettingsError
from provision.settings import load
from rehearsal.artifacts import lock

ROOT = Path(__file__).resolve().parents[1]
TEXT = """
[go]
version = "1.26.8"
minimum = "1.26.0"
[[module]]
name = "etcd"
path = "go.etcd.io/etcd/server/v3"
version = "v3.6.10"
sum = "h1:abc="
commands = [{ name = "etcd", package = "go.etcd.io/etcd/server/v3" }]
[[file]]
path = "x/etcd"
commands = ["etcd"]
[[layer]]
name = "code"
kind = "tree"
source = "code"
into = "app"
[[image]]
ref = "registry.k8s.io/etcd:3.6.10-0"
layers = ["code"]
binaries = { etcd = "usr/local/bin/etcd" }
"""


def test_the_shipped_lock_is_whole() -> None:
    shipped = lock.load()
    assert {"kubelet", "kubeadm", "kubectl", "helm", "sops", "etcd", "coredns"} <= set(shipped.commands)
    assert len({image.ref for image in shipped.image}) == len(shipped.image)
    assert len({image.path for image in shipped.image}) == len(shipped.image), (
        "two upstreams would share one repository"
    )


def test_the_lock_and_the_settings_name_one_kubernetes() -> None:
    module, _ = lock.load().commands["kubelet"]
    assert module.version == f"v{settings.load('rehearsal').kubernetes.version}"


def test_the_serving_image_has_the_version_of_the_service() -> None:
    tags = {image.path: image.tag for image in lock.load().image}
    assert tags["tandem/serving"] == serving.__version__


def test_every_image_that_a_chart_names_is_in_the_lock() -> None:
    refs = {image.ref for image in lock.load().image}
    named = {(release.name, image) for release in releases.every(load("rehearsal")) for image in release.images}
    assert not sorted(pair for pair in named if pair[1] not in refs)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_whatever_the_exporter_imports_decides_the_model(precision: str) -> None:
    layer = lock.load().layers[f"serving-model-{precision}"]
    assert layer.args == ("--precision", precision)
    assert lock.sources(ROOT / layer.source, layer.pattern) == _imported(layer.module)


def test_whatever_makes_the_toy_decides_it() -> None:
    layer = lock.load().layers["serving-toy-summarizer"]
    taken = lock.sources(ROOT / layer.source, layer.pattern)
    assert set(_imported(layer.module)) <= set(taken)
    assert "summarizer/rehearsal.json" in taken
    assert not {"app.py", "golden.py", "service.py"} & set(taken)  # else a change there would train it again


def test_the_code_of_the_service_is_whole() -> None:
    layer = lock.load().layers["serving-code"]
    taken = lock.sources(ROOT / layer.source, layer.pattern)
    assert {"stages.toml", *_imported("serving.__main__")} <= set(taken)


def test_a_glob_with_a_slash_is_of_one_place(tmp_path: Path) -> None:
    for name in ("a.py", "part/a.py", "part/b.py", "part/deep/a.py", "part/c.toml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert lock.sources(tmp_path, ["./a.py"]) == ["a.py"]
    assert lock.sources(tmp_path, ["part/*.py"]) == ["part/a.py", "part/b.py"]
    assert lock.sources(tmp_path, ["a.py"]) == ["a.py", "part/a.py", "part/deep/a.py"]
    assert lock.sources(tmp_path, ["./a.py", "a.py"]) == ["a.py", "part/a.py", "part/deep/a.py"]


def _imported(module: str) -> list[str]:
    """Files of serving/ that a module imports, itself and the packages around it among them."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = ROOT / (name.replace(".", "/") + ".py")
        path = path if path.is_file() else ROOT / name.replace(".", "/") / "__init__.py"
        if path in found or not path.is_file():
            continue  # known, or a name out of a module
        found.add(path)
        waiting.append(name.rpartition(".")[0] or name)
        froms = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        names = [f"{node.module}.{alias.name}" for node in froms for alias in node.names]
        waiting += [other for other in (*names, *(str(node.module) for node in froms)) if other.startswith("serving")]
    return sorted(str(path.relative_to(ROOT / "serving")) for path in found)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('minimum = "1.26.0"', 'minimal = "1.26.0"'),
        ('sum = "h1:abc="', 'sum = "abc"'),
        ('version = "v3.6.10"', 'version = "latest"'),
        ('layers = ["code"]', 'layers = ["cod"]'),
        ("binaries = { etcd", "binaries = { etcdd"),
        ("[go]", "[go"),
    ],
)
def test_a_wrong_lock_is_a_settings_error(old: str, new: str) -> None:
    assert old in TEXT
    with pytest.raises(SettingsError):
        lock.parse(TEXT.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"), [("h1:abc=", "h1:abd="), ("1.26.8", "1.26.9"), ("v3.6.10", "v3.6.11"), ('"go.etcd', '"x.etcd')]
)
def test_every_input_is_in_the_key_of_a_binary(old: str, new: str) -> None:
    assert lock.parse(TEXT).command_key("etcd") != lock.parse(TEXT.replace(old, new)).command_key("etcd")


def test_a_vendor_file_decides_nothing_about_the_key() -> None:
    pinned = TEXT.replace('etcd/server/v3" }', f'etcd/server/v3", url = "https://x/y", sha256 = "{"a" * 64}" }}')
    assert lock.parse(pinned).commands["etcd"][1].is_pinned
    assert not lock.parse(TEXT).commands["etcd"][1].is_pinned
    assert lock.parse(TEXT).command_key("etcd") == lock.parse(pinned).command_key("etcd")


def test_an_image_changes_with_its_binary_and_a_layer_with_its_files(tmp_path: Path) -> None:
    ours, other = lock.parse(TEXT), lock.parse(TEXT.replace("h1:abc=", "h1:abd="))
    assert ours.own_layer_key(ours.image[0]) != other.own_layer_key(other.image[0])
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("1")
    before = ours.layer_key("code", tmp_path)
    (tmp_path / "code" / "a.txt").write_text("not taken")
    assert ours.layer_key("code", tmp_path) == before
    (tmp_path / "code" / "a.py").write_text("2")
    assert ours.layer_key("code", tmp_path) != before


def test_what_records_its_own_figures_is_made_again_on_another_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = lock.parse(TEXT)
    asked = lock.parse(TEXT.replace('kind = "tree"', 'kind = "tree"\nargs = ["--precision", "int8"]'))
    measured = lock.parse(TEXT.replace('kind = "tree"', 'kind = "tree"\nmeasured = true'))
    here = {one.layer_key("code", tmp_path) for one in (plain, asked, measured)}
    monkeypatch.setattr(lock, "extensions", lambda: "avx2 fma")
    there = {one.layer_key("code", tmp_path) for one in (plain, asked, measured)}
    assert (len(here), len(here & there)) == (3, 2)
    assert measured.layer_key("code", tmp_path) not in here


def test_the_processor_is_known_by_its_vector_instructions(tmp_path: Path) -> None:
    about = tmp_path / "cpuinfo"
    about.write_text("model name\t: x\nflags\t\t: fpu sse2 avx512_vnni avx2 fma amx_int8 rdtscp\n\nflags\t\t: fpu\n")
    assert lock.extensions(about) == "amx_int8 avx2 avx512_vnni fma"
    about.write_text("processor : 0\n")
    assert lock.extensions(about) == ""


def test_repository_paths_drop_the_host() -> None:
    image = lock.parse(TEXT).image[0]
    assert (image.path, image.tag) == ("etcd", "3.6.10-0")
