"""Images in a registry's storage folder: the layout, and that repeating changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

from rehearsal.artifacts import images, layers
from rehearsal.artifacts.layers import Entry
from rehearsal.artifacts.lock import Image, Lock, parse
from rehearsal.artifacts.oci import LAYER_TYPE, Blob, Storage
from rehearsal.artifacts.store import Store
from tests.test_artifacts_lock import TEXT

IMAGE = Image(ref="quay.io/a/b:1", entrypoint=("/x",), env={"A": "b"}, user="5:5", stop_signal="SIGINT")


def _layer(storage: Storage, folder: Path) -> Blob:
    digest, size = layers.pack([Entry("a", 0o644, data=b"x")], folder / "layer.tar")
    storage.take(folder / "layer.tar", digest)
    return Blob(digest, size)


def test_a_published_image_can_be_read_back(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "registry")
    layer = _layer(storage, tmp_path)
    digest = storage.publish(IMAGE, [layer])
    assert storage.tagged("a/b", "1") == digest
    manifest = json.loads(storage.blob_path(digest).read_text())
    assert manifest["layers"] == [{"mediaType": LAYER_TYPE, "digest": layer.digest, "size": layer.size}]
    config = json.loads(storage.blob_path(manifest["config"]["digest"]).read_text())
    assert config["rootfs"]["diff_ids"] == [layer.digest]
    assert config["config"]["Entrypoint"] == ["/x"]
    assert "A=b" in config["config"]["Env"]
    assert "Cmd" not in config["config"]


def test_the_links_are_where_a_registry_looks(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "registry")
    digest = storage.publish(IMAGE, [_layer(storage, tmp_path)])
    repository = storage.base / "repositories" / "a" / "b"
    name = digest.removeprefix("sha256:")
    assert (repository / "_manifests" / "revisions" / "sha256" / name / "link").read_text() == digest
    assert (repository / "_manifests" / "tags" / "1" / "index" / "sha256" / name / "link").read_text() == digest
    assert len(list((repository / "_layers" / "sha256").iterdir())) == 2  # the layer and the configuration


def test_a_changed_image_moves_its_tag_and_keeps_the_old_one_by_digest(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "registry")
    layer = _layer(storage, tmp_path)
    first = storage.publish(IMAGE, [layer])
    second = storage.publish(IMAGE.model_copy(update={"user": "6:6"}), [layer])
    assert first != second == storage.tagged("a/b", "1")
    assert storage.blob_path(first).exists()


def test_a_blob_that_is_too_short_is_not_there(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "registry")
    layer = _layer(storage, tmp_path)
    storage.blob_path(layer.digest).write_bytes(b"cut")
    assert not storage.has(layer)


def _lock(root: Path) -> tuple[Lock, images.Maker]:
    (root / "code").mkdir()
    (root / "code" / "a.txt").write_text("text")
    text = TEXT.replace('layers = ["code"]\n', "")
    found, store = parse(text), Store(root / "cache")
    made = root / "etcd"
    made.write_text("binary")
    store.add_binary(found, "etcd", made, "built", 1.0)
    return found, images.Maker(found, store, images.storage(store), root, root / "log")


def test_a_layer_is_made_once(tmp_path: Path) -> None:
    found, maker = _lock(tmp_path)
    first, second = maker.image(found.image[0]), maker.image(found.image[0])
    assert (first.source, second.source) == ("built", "cache")
    assert first.sha256 == second.sha256


def test_a_lost_blob_is_made_again(tmp_path: Path) -> None:
    found, maker = _lock(tmp_path)
    maker.image(found.image[0])
    maker.storage.blob_path(maker.own(found.image[0]).digest).unlink()
    assert maker.image(found.image[0]).source == "built"


def test_binaries_are_whole_or_absent(tmp_path: Path) -> None:
    found, maker = _lock(tmp_path)
    assert maker.store.has_binary(found, "etcd")
    assert maker.store.binary(found, "etcd").stat().st_mode & 0o777 == 0o755
    row = maker.store.binary_row(found, "etcd")
    assert (row.source, row.made, row.seconds) == ("cache", "built", 1.0)
    (maker.store.binary_folder(found, "etcd") / "record.json").unlink()
    assert not maker.store.has_binary(found, "etcd")
