"""Chameleon's rules in the rehearsal's clouds, as far as they are ours: accounting, lockout, injected answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from rehearsal.clouds.config.identity import LOCKED_AFTER
from rehearsal.clouds.layout import Tree
from rehearsal.clouds.services import accounting, faults, middleware
from rehearsal.clouds.services.accounting import BillingError, Ledger
from rehearsal.clouds.services.faults import Answer, Faults

Said = tuple[str, dict[str, str], bytes]
HOST = {"resource_type": "physical:host", "allocations": [{"su_factor": "2.0"}]}
LARGE = {"resource_type": "flavor:instance", "flavor_id": "4", "amount": 3, "allocations": []}
LEASE = {"name": "l", "start_date": "2026-11-23T10:00:00", "end_date": "2026-11-30T10:00:00", "reservations": [HOST]}


def asked(application: middleware.Application, method: str = "GET", path: str = "/", body: object = None) -> Said:
    data = b"" if body is None else json.dumps(body).encode()
    told: list[Any] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.input": BytesIO(data),
    }
    content = b"".join(application(environ, lambda *words: told.extend(words)))
    return told[0], dict(told[1]), content


def service(status: str = "200 OK", body: object = "own") -> middleware.Application:
    def own(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        environ["wsgi.input"].read()
        start_response(status, [("Content-Length", "1")])
        return [json.dumps(body).encode()]

    return own


def login(credential: str = "c") -> dict[str, object]:
    return {"auth": {"identity": {"methods": ["application_credential"], "application_credential": {"id": credential}}}}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree("p", "chi-uc", tmp_path, tmp_path, tmp_path, tmp_path, tmp_path)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "charges.json", {"4": 0.08})


def test_faults_are_in_force_until_they_are_taken_back(tree: Tree) -> None:
    faults.add(tree, "a", {"hidden": ["volumev3"], "answers": [{"service": "nova", "status": "429 Slow"}]})
    faults.add(tree, "b", {"starts_fail": 1, "answers": [{"service": "nova", "status": "503 No"}]})
    found = faults.read(tree)
    assert (found.hidden, found.starts_fail, len(found.answers)) == (("volumev3",), 1, 2)
    assert found.starts_fail_since > 0
    faults.remove(tree, "a")
    assert [one.status for one in faults.read(tree).answers] == ["503 No"]
    faults.remove(tree, "b")
    assert not tree.faults_file.exists()


def test_a_key_that_no_service_knows_is_an_error(tree: Tree) -> None:
    faults.add(tree, "a", {"spawn_dely": 1})
    with pytest.raises(ValueError, match="spawn_dely"):
        faults.read(tree)


def test_an_injected_answer_comes_as_often_as_it_says() -> None:
    limit = Answer("nova", "429 Too Many", '{"a": 1}', "GET", "/servers", (("Retry-After", "2"),), times=2)
    guarded = middleware.answering("nova", service(), lambda: Faults(answers=(limit,)))
    answers = [asked(guarded, path="/v2.1/servers/detail") for _ in range(3)]
    assert [status for status, _, _ in answers] == ["429 Too Many", "429 Too Many", "200 OK"]
    assert answers[0][1]["Retry-After"] == "2" and answers[0][1]["Content-Type"] == "application/json"
    assert asked(guarded, "POST", "/v2.1/servers")[0] == "200 OK"
    other = middleware.answering("neutron", service(), lambda: Faults(answers=(limit,)))
    assert asked(other, path="/servers")[0] == "200 OK"


def test_an_account_is_locked_after_repeated_refusals_and_stays_so() -> None:
    keystone = ["401 Unauthorized"]
    guarded = middleware.locking(lambda e, s: service(keystone[0])(e, s), Faults)
    for _ in range(LOCKED_AFTER):
        assert b"own" in asked(guarded, "POST", "/v3/auth/tokens", login())[2]
    keystone[0] = "201 Created"
    assert b"Account is disabled" in asked(guarded, "POST", "/v3/auth/tokens", login())[2]
    assert asked(guarded, "POST", "/v3/auth/tokens", login("another"))[0] == "201 Created"
    assert asked(guarded)[0] == "201 Created"


def test_a_login_that_succeeds_is_forgiven() -> None:
    keystone = ["401 Unauthorized"]
    guarded = middleware.locking(lambda e, s: service(keystone[0])(e, s), Faults)
    for status in ("401 Unauthorized",) * 4 + ("201 Created",) + ("401 Unauthorized",) * 4 + ("201 Created",):
        keystone[0] = status
        assert asked(guarded, "POST", "/v3/auth/tokens", login())[0] == status


def test_a_disabled_account_is_refused_at_once() -> None:
    guarded = middleware.locking(service("201 Created"), lambda: Faults(locked=True))
    assert asked(guarded, "POST", "/v3/auth/tokens", login())[0] == "401 Unauthorized"
    password = {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "admin"}}}}}
    assert asked(guarded, "POST", "/v3/auth/tokens", password)[0] == "201 Created"


def test_a_hidden_service_is_not_in_the_catalogue() -> None:
    token = {"token": {"catalog": [{"type": "compute"}, {"type": "block-storage"}, {"type": "volumev3"}]}}
    hidden = middleware.without_hidden(
        service("201 Created", token), lambda: Faults(hidden=("block-storage", "volumev3"))
    )
    status, headers, body = asked(hidden, "POST", "/v3/auth/tokens", login())
    assert (status, json.loads(body)) == ("201 Created", {"token": {"catalog": [{"type": "compute"}]}})
    assert headers["Content-Length"] == str(len(body))


def test_a_whole_lease_is_charged_and_what_is_left_comes_back(ledger: Ledger) -> None:
    ledger.check_create({"lease": LEASE}, Faults())
    assert list(json.loads(ledger.file.read_text()).values()) == [336.0]
    ledger.on_end(
        {"lease": {**LEASE, "end_date": "2026-11-24 10:00:00", "start_date": "2026-11-23 10:00:00"}}, Faults()
    )
    assert list(json.loads(ledger.file.read_text()).values()) == [48.0]


def test_flavors_cost_by_their_number_and_addresses_nothing(ledger: Ledger) -> None:
    address = {"resource_type": "virtual:floatingip", "amount": 1, "allocations": [{"id": "f"}]}
    ledger.check_create({"lease": {**LEASE, "reservations": [LARGE, address]}}, Faults())
    assert list(json.loads(ledger.file.read_text()).values()) == [round(168 * 0.24, 4)]


@pytest.mark.parametrize(
    ("force", "words"),
    [
        (Faults(balance_su=30), "Reservation for project CHI-tandem would spend 336.00 SUs, only 30.00 left"),
        (Faults(budget_su=30), "Reservation for user tandem would spend 336.00 SUs, only 30.00 left in user budget"),
        (Faults(allocation_ends="2026-11-25T00:00:00"), accounting.PAST),
    ],
    ids=["balance", "budget", "allocation"],
)
def test_what_cannot_be_paid_is_refused_in_the_portal_s_words(ledger: Ledger, force: Faults, words: str) -> None:
    with pytest.raises(BillingError) as caught:
        ledger.check_create({"lease": LEASE}, force)
    assert str(caught.value) == words
    assert not ledger.file.exists()


def test_an_extension_costs_what_it_adds(ledger: Ledger) -> None:
    # Blazar tells no name of what a lease shall be: the charge stays the old lease's.
    longer = {key: value for key, value in LEASE.items() if key != "name"} | {"end_date": "2026-12-07T10:00:00"}
    ledger.check_create({"lease": LEASE}, Faults())
    with pytest.raises(BillingError, match=r"would spend 336.00 more SUs, only 100.00 left"):
        ledger.check_update({"current_lease": LEASE, "lease": longer}, Faults(balance_su=100))
    ledger.check_update({"current_lease": LEASE, "lease": longer}, Faults())
    assert list(json.loads(ledger.file.read_text()).values()) == [672.0]


def test_only_blazar_may_ask(ledger: Ledger) -> None:
    answer = accounting.application(ledger, "token", Faults)

    def ask(path: str, token: str) -> str:
        body = json.dumps({"lease": LEASE}).encode()
        environ = {
            "PATH_INFO": path,
            "HTTP_X_AUTH_TOKEN": token,
            "CONTENT_LENGTH": len(body),
            "wsgi.input": BytesIO(body),
        }
        told: list[Any] = []
        list(answer(environ, lambda *words: told.extend(words)))
        return str(told[0])

    assert ask("/check-create", "token") == "204 No Content"
    assert ask("/check-create", "guess") == ask("/else", "token") == "404 Not Found"
