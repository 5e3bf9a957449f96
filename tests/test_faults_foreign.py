"""Leases of another project: taken and given back as Blazar allows it, which is not at any time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision.errors import DeadlineExceeded, DeadState, PreconditionMissing
from provision.wait import wait_until
from rehearsal.clouds.layout import Places
from rehearsal.faults import foreign
from rehearsal.faults.ground import Ground
from rehearsal.faults.provider import AllAddressesLeased

HELD = {"resource_type": "virtual:floatingip", "network_id": "n", "amount": 1}


@dataclass
class Blazar:
    """Each list of leases is a moment later. lives: the statuses that a lease goes through, the last one for ever.

    fits: the largest amount that is granted. deaf: no deletion has an effect.
    """

    lives: tuple[str, ...] = ("PENDING", "STARTING", "STARTING", "ACTIVE")
    fits: int = 20
    deaf: bool = False
    leases: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def ask(self, _cloud: Any, method: str, path: str, body: Any = None, *, must: bool = True) -> Any:
        if method == "POST":
            if body["reservations"][0]["amount"] > self.fits:
                assert not must
                return None
            self.leases[f"id{len(self.leases)}"] = (body["name"], list(self.lives))
            return {"lease": {}}
        if method == "DELETE":
            name = path.rsplit("/", 1)[1]
            if self.deaf or self.leases[name][1][0] == "STARTING":
                self.refused.append(name)
            else:
                del self.leases[name]
            return None
        for _, states in self.leases.values():
            if len(states) > 1:
                states.pop(0)
        return {"leases": [{"id": key, "name": one[0], "status": one[1][0]} for key, one in self.leases.items()]}


@pytest.fixture
def blazar() -> Blazar:
    return Blazar()


@pytest.fixture
def ground(blazar: Blazar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    network = SimpleNamespace(find_network=lambda _name, ignore_missing: SimpleNamespace(id="n"))
    monkeypatch.setattr(Ground, "admin", lambda _self: SimpleNamespace(network=network))
    monkeypatch.setattr(Ground, "blazar", lambda _self, *words, **more: blazar.ask(*words, **more))
    now = [0.0]
    passing: Mapping[str, Any] = {
        "sleep": lambda seconds: now.__setitem__(0, now[0] + seconds),
        "clock": lambda: now[0],
    }
    monkeypatch.setattr(foreign, "wait_until", partial(wait_until, **passing))
    return Ground(Places("case", tmp_path, tmp_path, tmp_path), "kvm-tacc")


def test_a_fault_is_on_when_its_lease_can_be_given_back(ground: Ground, blazar: Blazar) -> None:
    assert foreign.take(ground, "it", HELD)
    assert [states for _, states in blazar.leases.values()] == [["ACTIVE"]]
    foreign.give_back(ground, "it")
    assert (blazar.leases, blazar.refused) == ({}, [])


def test_a_lease_that_is_starting_is_given_back_afterwards(ground: Ground, blazar: Blazar) -> None:
    blazar.leases = {"a": ("fault-it", ["STARTING", "STARTING", "ACTIVE"]), "b": ("somebody's", ["ACTIVE"])}
    foreign.give_back(ground, "it")
    assert list(blazar.leases) == ["b"]
    assert blazar.refused == []


def test_a_fault_that_cannot_be_switched_off_says_so(ground: Ground, blazar: Blazar) -> None:
    foreign.take(ground, "it", HELD)
    blazar.deaf = True
    with pytest.raises(DeadlineExceeded, match="leases of fault it given back") as caught:
        foreign.give_back(ground, "it")
    assert "ACTIVE" in caught.value.why
    assert caught.value.next == "invoke rehearsal.fault it --off"


def test_of_a_lease_that_does_not_start_nothing_stays(ground: Ground, blazar: Blazar) -> None:
    blazar.lives = ("PENDING", "STARTING", "ERROR")
    with pytest.raises(DeadState):
        foreign.take(ground, "it", HELD)
    assert blazar.leases == {}


def test_what_blazar_refuses_is_not_had(ground: Ground, blazar: Blazar) -> None:
    blazar.fits = 0
    assert not foreign.take(ground, "it", HELD, must=False)


def test_as_many_addresses_are_taken_as_there_are(ground: Ground, blazar: Blazar) -> None:
    blazar.fits = 17
    AllAddressesLeased().on(ground, "no-addresses")
    assert len(blazar.leases) == 1
    blazar.leases, blazar.fits = {}, 0
    with pytest.raises(PreconditionMissing, match="every floating IP already"):
        AllAddressesLeased().on(ground, "no-addresses")
