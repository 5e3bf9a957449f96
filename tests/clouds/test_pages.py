"""Lists that come in pages, each service in its own way: everything is found. Leases come whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision.clouds import storage
from provision.clouds.openstack import OpenStackCloud
from provision.settings import load
from tests.clouds.recorded_transport import cloud_of

pytestmark = pytest.mark.filterwarnings("ignore::openstack.warnings._RemovedInSDKWarning")
Count = Callable[[OpenStackCloud], int]
PROJECT = "project_id=2d5c0d4214d24e5a9e2097e28b3c78b4"


def in_pages(key: str, plural: str) -> Callable[[dict[str, Any]], None]:
    """A change of the recordings: one thing a page, with the link that nova, neutron and cinder give."""

    def change(rows: dict[str, Any]) -> None:
        name = next(name for name in rows if name.startswith("GET ") and name.endswith(key))
        row, url = rows[name], name.removeprefix("GET ")
        things = row["body"][plural]
        mark = "&" if "?" in url else "?"
        for index, thing in enumerate(things):
            page = {plural: [thing]}
            if index + 1 < len(things):
                link = f"{url}{mark}marker={thing['id']}"
                page[f"{plural}_links"] = [{"rel": "next", "href": link}]
            before = f"{url}{mark}marker={things[index - 1]['id']}" if index else url
            rows[f"GET {before}"] = {**row, "body": page}

    return change


@pytest.mark.parametrize(
    ("key", "plural", "count", "want"),
    [
        ("/servers/detail", "servers", lambda cloud: len(cloud.servers.list_servers()), 3),
        (f"/ports?{PROJECT}", "ports", lambda cloud: len(cloud.networks.survey().ports), 3),
        ("/volumes/detail", "volumes", lambda cloud: len(cloud.store.list_volumes()), 1),
    ],
    ids=["nova", "neutron", "cinder"],
)
def test_every_page_is_read(key: str, plural: str, count: Count, want: int, tmp_path: Path) -> None:
    cloud, transport = cloud_of(load("rehearsal", platform="case"), "kvm-tacc", tmp_path, in_pages(key, plural))
    assert count(cloud) == want
    if want > 1:
        assert any("marker=" in one for one in transport.asked)


def test_images_come_with_a_link_to_the_next_page(tmp_path: Path) -> None:
    cloud, transport = cloud_of(load("rehearsal", platform="case"), "kvm-tacc", tmp_path)
    link = [{"rel": "self", "href": "http://10.30.0.10:9292/v2/"}]
    versions = {"versions": [{"id": "v2.0", "status": "CURRENT", "links": link}]}
    first = {
        "images": [{"id": "old", "name": "CC", "created_at": "2026-11-01T00:00:00Z"}],
        "next": "/v2/images?marker=old",
    }
    second = {"images": [{"id": "new", "name": "CC", "created_at": "2026-11-20T00:00:00Z"}]}
    transport.replies.update(
        {
            "GET :9292/": {"status": 200, "body": versions},
            "GET /v2/images?name=CC&status=active": {"status": 200, "body": first},
            "GET marker=old": {"status": 200, "body": second},
            "GET marker=old&name=CC&status=active": {"status": 200, "body": second},
        }
    )
    assert cloud.prospect.find_image("CC") == "new"


def test_objects_are_asked_for_until_a_page_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The object store gives no link; who wants more asks for what comes after the last."""
    monkeypatch.setattr(storage, "PAGE", 2)
    first, then = "limit=2&format=json", "format=json&marker={}&limit=2"
    pages = {first: ["a", "b"], then.format("b"): ["c"], then.format("c"): []}

    def make(rows: dict[str, Any]) -> None:
        base = next(name for name in rows if "?prefix=" in name).partition("?")[0]
        rows[f"{base}?prefix=case-chi-uc-backups"] = {"status": 200, "body": [{"name": "case-chi-uc-backups"}]}
        for query, names in pages.items():
            things = [{"name": name, "bytes": 1} for name in names]
            rows[f"{base}case-chi-uc-backups?{query}"] = {"status": 200, "body": things}

    cloud, _ = cloud_of(load("rehearsal", platform="case"), "chi-uc", tmp_path, make)
    assert cloud.store.list_objects("case-chi-uc-backups") == ("a", "b", "c")
