"""The platform's S3: what an application writes through the gateway lies in the site's store, and each has its rights.

Through the gateway with an application's key; back directly from the store, with the platform's. Both are asked from
the operator's machine, so the figures include an ssh connection.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import requests
import yaml

from provision import gateway, s3
from provision.settings import ROOT, Settings
from provision.site import Site

GIVEN: Mapping[str, Any] = yaml.safe_load((ROOT / "apps/s3/values.yaml").read_text())
WRITER, BUCKET = "pipelines", "chi-uc-arxiv-text"
OBJECT = "tandem-verify"
ROUNDS = 3
BIG_BYTES = 20_000_000
REFUSED = 403


@dataclass(frozen=True)
class Store:
    """Both ways in. keys: of each application at the gateway. own: the platform's at the store itself."""

    platform: str
    keys: Mapping[str, s3.Key]
    own: s3.Key
    deadline_s: float

    def path(self, bucket: str, name: str = OBJECT) -> str:
        """Of an object, the bucket by its name in the chart."""
        return f"/{self.platform}-{bucket}/{name}"

    def ask(self, key: s3.Key, method: str, path: str, data: bytes | None = None) -> requests.Response:
        """One request."""
        return requests.request(method, s3.presigned(key, method, path), data=data, timeout=self.deadline_s)

    def must(self, key: s3.Key, method: str, path: str, data: bytes | None = None) -> None:
        """One request that is answered well."""
        self.ask(key, method, path, data).raise_for_status()


@pytest.fixture(scope="module")
def store(both: tuple[Site, Site], settings: Settings, budget: Callable[[str], float]) -> Iterator[Store]:
    """Nothing of ours stays in either."""
    home = settings.store_site
    vault = both[0].vault.read()
    with gateway.opened(both[0], f"s3-{WRITER}") as opened:
        keys = {
            name: replace(opened.key, access=vault[f"s3-{name}"]["access"], secret=vault[f"s3-{name}"]["secret"])
            for name in GIVEN["accounts"]
        }
        made = Store(settings.platform, keys, s3.KeyFile.of(settings, home).read(), budget("object_store.answer_s"))
        yield made
        made.ask(made.own, "DELETE", made.path(BUCKET))


def test_what_an_application_writes_lies_in_the_sites_store(
    store: Store, budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """Put, read back directly, removed through the gateway, gone from the store. Three times, for the figures."""
    path, mine = store.path(BUCKET), store.keys[WRITER]
    took: dict[str, list[float]] = {"put": [], "get": []}
    for number in range(ROUNDS):
        text = f"{OBJECT} {number}".encode()
        took["put"].append(timed(store.must, mine, "PUT", path, text))
        took["get"].append(timed(store.must, mine, "GET", path))
        assert store.ask(store.own, "GET", path).content == text
    store.must(mine, "DELETE", path)
    median = {what: 1000 * statistics.median(seconds) for what, seconds in took.items()}
    figure(f"put {median['put']:.0f} ms, get {median['get']:.0f} ms, median of {ROUNDS}")
    assert store.ask(store.own, "GET", path).status_code == requests.codes.not_found
    assert 1000 * max(map(min, took.values())) <= budget("object_store.small_ms")  # the quickest: verify/timing.py


def test_twenty_megabytes_go_there_and_back(
    store: Store, budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """Random bytes, equal when read from the store itself."""
    path, mine, data = store.path(BUCKET), store.keys[WRITER], os.urandom(BIG_BYTES)
    put_s, get_s = timed(store.must, mine, "PUT", path, data), timed(store.must, mine, "GET", path)
    same = store.ask(store.own, "GET", path).content == data
    store.must(mine, "DELETE", path)
    rates = {"put": BIG_BYTES / put_s / 1e6, "get": BIG_BYTES / get_s / 1e6}
    figure(f"20 MB: put {rates['put']:.0f} MB/s, get {rates['get']:.0f} MB/s")
    assert same
    assert min(rates.values()) >= budget("object_store.big_mb_per_s")


@pytest.mark.parametrize("application", GIVEN["accounts"])
def test_an_application_has_its_own_rights_and_no_others(application: str, store: Store) -> None:
    """What it may read answers that there is no such object; what it may not read or write is refused."""
    key, buckets = store.keys[application], GIVEN["buckets"]
    readable = [name for name, may in buckets.items() if application in [*may["read"], *may["write"]]]
    closed = next(name for name in buckets if name not in readable)
    unwritable = next(name for name, may in buckets.items() if application not in may["write"])
    found = {
        "reads": store.ask(key, "GET", store.path(readable[0], f"{OBJECT}-none")).status_code,
        "closed": store.ask(key, "GET", store.path(closed, f"{OBJECT}-none")).status_code,
        "unwritable": store.ask(key, "PUT", store.path(unwritable), b"no").status_code,
    }
    assert found == {"reads": requests.codes.not_found, "closed": REFUSED, "unwritable": REFUSED}


def test_a_wrong_secret_opens_nothing(store: Store) -> None:
    """A known application's name, signed with another secret."""
    key = replace(store.keys[WRITER], secret="another")
    assert store.ask(key, "GET", store.path(BUCKET)).status_code == REFUSED


def timed(work: Callable[..., None], *args: object) -> float:
    """Seconds that it takes."""
    started = time.monotonic()
    work(*args)
    return time.monotonic() - started
