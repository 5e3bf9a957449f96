"""What a cloud tells, judged: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from provision.clouds.facts import Busy, Calendar, Credential, Host, Quota
from provision.doctor import site as judged
from provision.doctor.finding import Finding
from provision.errors import CredentialsRefused, PreconditionMissing
from tests.doctor.doubles import NOW, FakeProspect, fake_site


def one(found: Iterable[Finding], name: str) -> Finding:
    (finding,) = [finding for finding in found if finding.name == name]
    return finding


WHOLE = Credential("CHI-tandem", frozenset({"member", "reader"}), True, "")


@pytest.mark.parametrize(
    ("credential", "wrong"),
    [
        (WHOLE, {}),
        (Credential("p", frozenset({"member"}), True), {"chi-uc roles": "lacks reader"}),
        (Credential("p", WHOLE.roles, False), {"chi-uc unrestricted": "no: leases would end in HTTP 500"}),
        (Credential("p", WHOLE.roles, None), {}),
        (
            Credential("p", WHOLE.roles, True, "2026-11-24T12:00:00.000000"),
            {"chi-uc expiry": "2026-11-24 12:00 UTC, in 24 h; a lease runs for 168 h"},
        ),
        (Credential("p", WHOLE.roles, True, "2027-11-24T12:00:00Z"), {}),
    ],
    ids=["whole", "no reader", "restricted", "not told", "ends before the lease", "outlives it"],
)
def test_a_credential(credential: Credential, wrong: dict[str, str]) -> None:
    found = list(judged.judge_credential(fake_site("chi-uc"), credential, NOW))
    assert {finding.name: finding.why for finding in found if not finding.ok} == wrong
    assert all(finding.next for finding in found if not finding.ok)


@pytest.mark.parametrize(("skew", "ok"), [(0.0, True), (-59.0, True), (61.0, False), (-3600.0, False)])
def test_a_clock(skew: float, ok: bool) -> None:
    assert judged.judge_clock("chi-uc", skew).ok is ok


def test_services_are_those_that_the_site_s_settings_need() -> None:
    there = {"compute", "network", "image", "reservation"}
    found = judged.judge_services("kvm-tacc", fake_site("kvm-tacc").own, there)
    assert (found.ok, found.why) == (False, "region KVM@TACC lacks block storage")
    assert judged.judge_services("kvm-tacc", fake_site("kvm-tacc").own, there | {"volumev3"}).ok
    assert "object-store" in judged.judge_services("chi-uc", fake_site("chi-uc").own, there).why
    assert judged.judge_services("chi-uc", fake_site("chi-uc").own, there | {"object-store"}).ok


def test_quotas_that_are_too_small_have_a_line_each() -> None:
    settings = fake_site("kvm-tacc").settings
    quotas = (Quota("servers", 2, 0), Quota("ports", 1, 0), Quota("cores", 100, 0))
    found = list(judged.judge_quotas(settings, "kvm-tacc", quotas, {}))
    assert [finding.ok for finding in found] == [False, False]
    assert "1 servers more than the quota holds" in found[0].why
    (well,) = judged.judge_quotas(settings, "kvm-tacc", (Quota("servers", 9, 2), Quota("cores", -1, 2)), {})
    assert (well.ok, well.why) == (True, "left: 7 servers")


def calendar(*busy: Busy) -> Calendar:
    return Calendar(NOW, (Host("rtx-01", busy),))


def test_free_hosts_are_told_with_from_when() -> None:
    site = fake_site("chi-uc")
    assert judged.judge_hosts(site, calendar(), NOW).why == "1 hosts; free for 168 h: rtx-01"
    later = judged.judge_hosts(site, calendar(Busy(NOW - 10, NOW + 36000)), NOW)
    assert (later.ok, later.why) == (True, "1 hosts; free for 168 h from 2026-11-23 22:05 UTC: rtx-01")
    assert judged.judge_hosts(site, Calendar(NOW), NOW).ok is False
    assert judged.judge_hosts(site, None, NOW).why == "users may not read the calendar here"


def test_all_of_a_site_that_is_well_is_well() -> None:
    for name in ("kvm-tacc", "chi-uc"):
        found = list(judged.examined(fake_site(name), NOW))
        assert [(finding.name, finding.why) for finding in found if not finding.ok] == []
        assert {finding.name.removeprefix(f"{name} ") for finding in found} >= {
            "credential", "roles", "unrestricted", "expiry", "clock", "services", "quotas", "image", "network",
        }  # fmt: skip


def test_a_refused_credential_ends_the_site_s_questions() -> None:
    ask = FakeProspect(credential=CredentialsRefused("chi-uc: log in: credentials refused", next="put a new one"))
    found = list(judged.examined(fake_site("chi-uc", ask), NOW))
    assert [(finding.name, finding.ok) for finding in found] == [("chi-uc credential", False)]
    assert ask.asked == ["credential"]


def test_a_service_that_does_not_answer_is_a_finding_and_the_rest_is_asked() -> None:
    ask = FakeProspect(image=PreconditionMissing("chi-uc: find image: the cloud does not answer", next="later"))
    found = list(judged.examined(fake_site("chi-uc", ask), NOW))
    assert [finding.name for finding in found if not finding.ok] == ["chi-uc image"]
    assert one(found, "chi-uc gpu_rtx_6000").ok


def test_what_is_not_there_is_named() -> None:
    ask = FakeProspect(image="", networks=False, flavors=False)
    wrong = [finding for finding in judged.examined(fake_site("kvm-tacc", ask), NOW) if not finding.ok]
    assert [finding.why for finding in wrong] == [
        "CC-Ubuntu24.04 is not there", "public is not there", "m1.large is not there",
    ]  # fmt: skip
