"""Which Secrets a site expects and what they hold; what is wrong with one, without a value being shown."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from provision import appsecrets
from provision.appsecrets import DOCKER_KEY, Seen, WantedSecret
from provision.settings import Registry, load
from provision.vault import Entries

SETTINGS = load("rehearsal")
VAULT: Entries = {
    "salt": {"salt": "grain"},
    "postgresql": {"password": "one"},
    "registry": {"user": "u", "password": "p"},
    "object-store": {"access": "a", "secret": "s", "endpoint": "http://x", "region": "r"},
}
PASSWORD = WantedSecret("data", "postgresql", ("password",))


def stored(data: dict[str, str], kind: str = "Opaque") -> Any:
    encoded = {key: b64encode(value.encode()).decode() for key, value in data.items()}
    return {"metadata": {"namespace": "data", "name": "postgresql"}, "type": kind, "data": encoded}


def test_a_site_expects_what_its_charts_name() -> None:
    assert PASSWORD in appsecrets.wanted(SETTINGS, "kvm-tacc")
    assert PASSWORD not in appsecrets.wanted(SETTINGS, "chi-uc")


@pytest.mark.parametrize("site", ["kvm-tacc", "chi-uc"])
def test_every_namespace_has_a_pull_secret_and_the_link_s_the_store_s_key(site: str) -> None:
    wanted = appsecrets.wanted(SETTINGS, site)
    assert {secret.namespace for secret in wanted if secret.name == "registry"} == set(
        appsecrets.namespaces(SETTINGS, site)
    )
    assert WantedSecret("tandem-link", "object-store", ("access", "secret", "endpoint", "region")) in wanted


def test_where_the_upstreams_are_open_nobody_needs_a_pull_secret() -> None:
    bare = SETTINGS.model_copy(update={"registry": Registry()})
    assert [secret for secret in appsecrets.wanted(bare, "kvm-tacc") if secret.name == "registry"] == []


def test_what_no_table_knows_is_a_password() -> None:
    assert appsecrets.entry_of(PASSWORD, SETTINGS).kind == "passwords"
    assert appsecrets.entry_of(WantedSecret("x", "registry", (DOCKER_KEY,)), SETTINGS).keys == ("user", "password")


def test_an_entry_has_the_keys_of_every_secret_of_its_name() -> None:
    """The S3 gateway's Secrets hold more than those of the applications, in whatever order they are made."""
    whole = load("rehearsal")
    secrets = [secret for site in whole.sites for secret in appsecrets.wanted(whole, site)]
    shared = [secret for secret in secrets if secret.name == "s3-mlflow"]
    assert len({secret.keys for secret in shared}) > 1
    specs = {appsecrets.entry_of(secret, whole).keys for secret in shared}
    assert [set(keys) for keys in specs] == [{"access", "secret", "previous-access", "previous-secret"}] * len(specs)


def test_the_pull_secret_opens_every_upstream_and_the_mirror() -> None:
    secret = WantedSecret("data", "registry", (DOCKER_KEY,), appsecrets.DOCKER_TYPE)
    auths = json.loads(appsecrets.values(secret, SETTINGS, VAULT)[DOCKER_KEY])["auths"]
    hosts = {"registry.k8s.io", "https://index.docker.io/v1/", "quay.io", "ghcr.io", "nvcr.io", "10.30.0.5:5000"}
    assert set(auths) == hosts
    assert auths["quay.io"]["auth"] == b64encode(b"u:p").decode()


def test_rclone_s_configuration_is_the_object_store_s_key_in_another_form() -> None:
    secret = WantedSecret("object-storage", "rclone", ("configData",))
    assert appsecrets.entry_of(secret, SETTINGS).name == "object-store"
    text = appsecrets.values(secret, SETTINGS, VAULT)["configData"]
    assert text.splitlines()[0] == "[store]"
    assert {"access_key_id = a", "secret_access_key = s", "endpoint = http://x", "region = r"} <= set(text.splitlines())
    assert appsecrets.values(secret, SETTINGS, {}) == {}


def test_a_vault_that_lacks_a_key_gives_nothing() -> None:
    assert appsecrets.values(PASSWORD, SETTINGS, {}) == {}
    assert appsecrets.values(WantedSecret("d", "postgresql", ("password", "more")), SETTINGS, VAULT) == {}


def test_a_secret_with_the_vault_s_values_is_fine() -> None:
    found = appsecrets.seen(stored({"password": "one"}), [PASSWORD], VAULT)
    assert appsecrets.fault(PASSWORD, found, {PASSWORD.path: found.fingerprint}) == ("update", "")


def test_what_others_add_is_theirs() -> None:
    alone, beside = (
        appsecrets.seen(stored(data), [PASSWORD], VAULT)
        for data in ({"password": "one"}, {"password": "one", "more": "x"})
    )
    assert alone.fingerprint == beside.fingerprint


@pytest.mark.parametrize(
    ("found", "verb", "why"),
    [
        (None, "create", "not there"),
        (Seen("data/postgresql", "other", ("password",), ""), "replace", "type other, want Opaque"),
        (Seen("data/postgresql", "Opaque", (), ""), "update", "lacks password"),
        (Seen("data/postgresql", "Opaque", ("password",), "other"), "update", "its values are not the vault's"),
    ],
)
def test_a_fault_is_named_without_its_value(found: Seen | None, verb: str, why: str) -> None:
    assert appsecrets.fault(PASSWORD, found, {PASSWORD.path: "right"}) == (verb, why)
