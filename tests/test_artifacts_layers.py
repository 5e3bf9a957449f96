"""Layers: same entries, same bytes; and what is left out."""

from __future__ import annotations

import tarfile
from pathlib import Path

from rehearsal.artifacts import debian, layers
from rehearsal.artifacts.layers import Entry
from rehearsal.artifacts.lock import Layer, file_hash


def _tree(root: Path) -> Path:
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "dash").write_text("shell")
    (root / "bin" / "dash").chmod(0o755)
    (root / "usr" / "share" / "doc" / "dash").mkdir(parents=True)
    (root / "usr" / "share" / "doc" / "dash" / "copyright").write_text("licence")
    (root / "usr" / "share" / "doc" / "dash" / "changelog.gz").write_text("noise")
    (root / "bin" / "sh").symlink_to("dash")
    return root


def test_the_same_files_give_the_same_digest_whatever_their_order_and_age(tmp_path: Path) -> None:
    entries = [Entry("usr/bin/a", 0o755, data=b"a"), Entry("usr/bin/b", 0o777, target="a"), Entry("tmp", 0o1777)]
    first = layers.pack(entries, tmp_path / "1.tar")
    second = layers.pack(reversed(entries), tmp_path / "2.tar")
    assert first == second
    assert first[1] == (tmp_path / "1.tar").stat().st_size
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    digest, _ = layers.pack([Entry("a", 0o644, data=b"x")], tmp_path / "a.tar")
    assert digest == f"sha256:{file_hash(tmp_path / 'a.tar')}"


def test_parents_come_first_and_only_once(tmp_path: Path) -> None:
    layers.pack([Entry("opt/x/y", 0o644, data=b""), Entry("opt", 0o700)], tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert [(member.name, member.mode) for member in archive] == [
            ("opt", 0o700),
            ("opt/x", 0o755),
            ("opt/x/y", 0o644),
        ]
        assert {member.mtime for member in archive} == {0}


def test_bin_and_lib_become_links_into_usr(tmp_path: Path) -> None:
    entries = {entry.path: entry for entry in layers.merge_usr(layers.walk(_tree(tmp_path)))}
    assert entries["usr/bin/dash"].source == tmp_path / "bin" / "dash"
    assert entries["usr/bin/sh"].target == "dash"
    assert entries["bin"].target == "usr/bin"


def test_documentation_goes_and_licences_stay(tmp_path: Path) -> None:
    paths = {entry.path for entry in layers.select(layers.walk(_tree(tmp_path)), (), ())}
    assert "usr/share/doc/dash/copyright" in paths
    assert "usr/share/doc/dash/changelog.gz" not in paths


def test_keep_takes_only_what_it_names(tmp_path: Path) -> None:
    chosen = layers.select(layers.merge_usr(layers.walk(_tree(tmp_path))), ("usr/bin/dash",), ())
    assert {entry.path for entry in chosen if entry.source} == {"usr/bin/dash"}


def test_users_are_written_out() -> None:
    passwd = next(entry for entry in debian.identity({"postgres": 999}) if entry.path == "etc/passwd")
    assert b"postgres:x:999:999:" in (passwd.data or b"")
    assert b"root:x:0:0::/root:/bin/sh\n" in (passwd.data or b"")


def test_debian_lines_come_from_the_mirrors_of_this_machine() -> None:
    lines = debian.deb_lines("trixie", "Debian|http://mirror/debian/\nDebian-Security|http://mirror/security/\n")
    assert lines == [
        "deb http://mirror/debian/ trixie main",
        "deb http://mirror/debian/ trixie-updates main",
        "deb http://mirror/security/ trixie-security main",
    ]


def test_package_versions_are_kept(tmp_path: Path) -> None:
    (tmp_path / debian.PACKAGES).write_text("libc6_2.36-9_amd64.deb\nlock\npartial\nconntrack_1%3a1.4.7_amd64.deb\n")
    assert debian.versions(tmp_path) == "conntrack 1:1.4.7\nlibc6 2.36-9\n"


def test_appended_text_follows_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("one\n")
    layer = Layer(name="x", kind="debian", append={"a.conf": "two\n"})
    assert [entry.data for entry in debian._appended(layer, tmp_path)] == [b"one\ntwo\n"]
