"""The chameleon settings from end to end without an account: the commands over recordings of the same services.

Recorded are a rehearsal's OpenStack services; the addresses are the testbed's. What this platform does not have yet is
answered as the services answer then; what it asks for is granted by a Blazar that plays the recorded leases.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from provision import checkout, commands, engine, leases
from provision.commands import Options
from provision.settings import Allocation, Settings, load
from provision.state import Run
from tests.clouds.recorded_transport import Recorded, clouds_file, recorded, transport_of

pytestmark = pytest.mark.filterwarnings("ignore::openstack.warnings._RemovedInSDKWarning")
PLATFORM = "fresh"
NOT_FOUND = {"status": 404, "body": {"itemNotFound": {"code": 404, "message": "not there"}}}
HOST = {"id": "1", "hypervisor_hostname": "rtx-01", "node_type": "gpu_rtx_6000", "reservable": True}
NO_NETWORK = {"status": 404, "body": {"NeutronError": {"type": "NetworkNotFound", "message": "none", "detail": ""}}}
COMPUTE = {"maxTotalInstances": 20, "totalInstancesUsed": 0, "maxTotalCores": 200, "totalCoresUsed": 0}
VOLUMES = {"maxTotalVolumes": 10, "totalVolumesUsed": 0, "maxTotalVolumeGigabytes": 1000, "totalGigabytesUsed": 0}
PORTS = {"floatingip": {"limit": 50, "used": 0}, "port": {"limit": 500, "used": 9}}
FLAVOR = {"id": "4", "name": "m1.large", "ram": 8192, "vcpus": 4, "disk": 40, "links": []}


class PlayedSite(Recorded):
    """One site that grants leases: made PENDING, ACTIVE when they are asked for next. `full`: no host is free."""

    def __init__(self, rows: dict[str, Any]) -> None:
        super().__init__(rows)
        (self.key,) = (name for name in rows if name.endswith("/v1/leases"))
        self.models: list[dict[str, Any]] = deepcopy(rows[self.key]["body"]["leases"])
        self.kept: list[dict[str, Any]] = []
        rows[self.key]["body"]["leases"] = self.kept
        self.full = False
        self.objects: dict[str, str] = {}

    def send(self, request: requests.PreparedRequest, *args: object, **options: object) -> requests.Response:
        """Blazar and the object store remember; everything else is played."""
        verb, url = str(request.method), str(request.url)
        if url.endswith("/v1/leases") and verb == "POST":
            self.replies["POST /v1/leases"] = self._lease(
                json.loads(str(request.body, "utf-8") if isinstance(request.body, bytes) else str(request.body))
            )
        elif url.endswith("/v1/leases"):
            for lease in self.kept:
                lease["status"] = "ACTIVE"
        if "/AUTH_" in url:
            self._store(verb, url, request.body)
        return super().send(request, *args, **options)

    def _lease(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self.full and asked["reservations"][0]["resource_type"] == "physical:host":
            return {"status": 500, "body": {"error_message": "Not enough hosts available"}}
        kind = asked["reservations"][0]["resource_type"]
        made = deepcopy(next(one for one in self.models if one["reservations"][0]["resource_type"] == kind))
        now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        made.update(id=f"id-{asked['name']}", name=asked["name"], status="PENDING", start_date=now.isoformat())
        made["end_date"] = datetime.strptime(asked["end_date"], "%Y-%m-%d %H:%M").isoformat()
        self.kept.append(made)
        return {"status": 201, "body": {"lease": made}}

    def _store(self, verb: str, url: str, body: Any) -> None:
        """Swift as far as a run's marker needs it."""
        path = url.partition("?")[0].split("/", 5)[-1]
        answer: dict[str, Any] = {"status": 204, "body": None}
        if verb == "PUT":
            self.objects[path] = body.decode() if body else ""
            answer["status"] = 201
        elif verb == "DELETE":
            self.objects.pop(path, None)
        elif verb == "GET":
            answer = {"status": 200, "body": self._listed(path, url)}
        self.rows = {**self.rows, f"{verb} {url}": answer}

    def _listed(self, path: str, url: str) -> Any:
        """Containers by prefix, or what one holds, or an object itself."""
        if path in self.objects and "format=json" not in url:
            return json.loads(self.objects[path]) if self.objects[path] else []
        if "marker=" in url:
            return []
        inside = [name for name in self.objects if name.startswith(f"{path}/")] if path else list(self.objects)
        names = (
            {name[len(path) :].strip("/") for name in inside} if path else {name for name in inside if "/" not in name}
        )
        wanted = url.partition("prefix=")[2]
        return [{"name": name, "count": 0, "bytes": 0} for name in sorted(names) if name.startswith(wanted)]


def limits(absolute: dict[str, int]) -> dict[str, Any]:
    """As nova and cinder tell them."""
    return {"status": 200, "body": {"limits": {"absolute": absolute, "rate": []}}}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    told = load("chameleon", platform=PLATFORM)
    told.config_dir.mkdir(parents=True)
    key = {"access": "a", "secret": "s", "endpoint": "https://chi.uc.chameleoncloud.org:7480", "region": "us-east-1"}
    (told.config_dir / "ec2-chi-uc.json").write_text(json.dumps(key))
    allocation = Allocation(ends=date.today() + timedelta(days=150), balance_su=20000)
    return told.model_copy(update={"clouds_file": str(clouds_file(told, tmp_path)), "allocation": allocation})


@pytest.fixture
def testbed(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, PlayedSite]]:
    monkeypatch.setattr(checkout, "missing", lambda: "")  # a clone for CI brings no submodule
    sites = {name: PlayedSite(recorded(settings, name)) for name in settings.sites}
    for name, site in sites.items():
        site.replies[f"GET /os-keypairs/{PLATFORM}-{name}-key"] = NOT_FOUND
        site.replies["GET /v1/os-hosts"] = {"status": 200, "body": {"hosts": [HOST]}}
        site.replies["GET /v1/os-hosts/allocations"] = {"status": 200, "body": {"allocations": []}}
        site.replies["GET :8774/v2.1/limits"] = limits(COMPUTE)
        site.replies["GET /details.json"] = {"status": 200, "body": {"quota": PORTS}}
        site.replies["GET /limits"] = limits(VOLUMES)
        site.replies["GET /v2.0/networks/public"] = NO_NETWORK
        site.replies["GET /flavors/m1.large"] = NOT_FOUND
        site.replies["GET /flavors/detail?is_public=None"] = site.replies["GET /flavors"] = {
            "status": 200,
            "body": {"flavors": [FLAVOR]},
        }
        site.replies["GET /flavors/4"] = {"status": 200, "body": {"flavor": FLAVOR}}
    transports = {name: transport_of(site) for name, site in sites.items()}
    monkeypatch.setattr(Settings, "state_dir", property(lambda _settings: tmp_path / "state"))
    for module in (commands, leases):
        monkeypatch.setattr(module, "settings_of", lambda _options: settings)
        monkeypatch.setattr(module, "open_sites", lambda own, run: engine.open_sites(own, run, transports))
    yield sites


def test_a_plan_from_nothing_names_everything_with_its_price(testbed: dict[str, PlayedSite]) -> None:
    told: Any = commands.provision_plan(Options(env="chameleon", platform=PLATFORM))
    assert told["refused"] == []
    assert told["exit_code"] == 0
    assert told["price"]["per_hour_su"] == 2.24 and told["price"]["spends"] is True
    by_step = {(row["step"], row["site"]) for row in told["changes"]}
    assert {("lease", "kvm-tacc"), ("lease", "chi-uc"), ("storage", "chi-uc"), ("nodes", "kvm-tacc")} <= by_step
    assert ("tunnel", "chi-uc") in by_step
    assert all(row["what"] and row["why"] for row in told["changes"])
    assert [
        key for site in testbed.values() for key in site.asked if not key.startswith("GET") and "auth" not in key
    ] == []


def test_leases_are_asked_for_once_and_stand(testbed: dict[str, PlayedSite], settings: Settings) -> None:
    """POST, PENDING, ACTIVE; both kinds, addresses in leases of their own; then there is nothing to do."""
    asked = Options(env="chameleon", platform=PLATFORM, yes=True)
    told: Any = commands.provision_step(asked, "lease", check=False)
    assert (told["exit_code"], told["changes"]) == (0, 4)
    names = {name: [lease["name"] for lease in site.kept] for name, site in testbed.items()}
    assert names == {site: [f"fresh-{site}-lease-fip", f"fresh-{site}-lease"] for site in settings.sites}
    again: Any = commands.provision_step(asked, "lease", check=False)
    assert (again["exit_code"], again["changes"]) == (0, 0)
    clocks: Any = leases.status(Options(env="chameleon", platform=PLATFORM, json=True))
    assert [(row["status"], row["per_hour_su"]) for row in clocks["leases"]] == [
        ("ACTIVE", 0.0), ("ACTIVE", 0.24), ("ACTIVE", 0.0), ("ACTIVE", 2.0),
    ]  # fmt: skip
    assert clocks["others"][0]["leases"] == 0


def test_a_site_without_a_host_waits_while_the_other_goes_on(
    testbed: dict[str, PlayedSite], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3, with what else could hold the GPU tier."""
    testbed["chi-uc"].full = True
    told: Any = commands.provision_step(Options(env="chameleon", platform=PLATFORM, yes=True), "lease", check=False)
    outcomes = {row["site"]: row["result"] for row in told["steps"]}
    assert (told["exit_code"], outcomes["kvm-tacc"], outcomes["chi-uc"]) == (3, "ok", "waits")
    assert len(testbed["kvm-tacc"].kept) == 2
    assert "invoke provision.all --env chameleon --backend h100-kvm" in capsys.readouterr().err


def test_a_run_leaves_no_marker_behind(testbed: dict[str, PlayedSite], settings: Settings) -> None:
    with commands.session(settings, "test", "") as (run, _sites):
        assert isinstance(run, Run)
        marked = [name for name in testbed["chi-uc"].objects if "/" in name]
        assert len(marked) == 1 and marked[0].startswith("fresh-chi-uc-writer/")
    assert [name for name in testbed["chi-uc"].objects if "/" in name] == []
