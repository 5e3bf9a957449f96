"""What a person is told to type exists; what a page says of prices is what the table of rates gives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tasks
from provision import extension, obtaining, pricing
from provision.doctor import trial
from provision.settings import ROOT, load

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"invoke (?:--help )?([a-z_]+(?:\.[a-z_|]+)?)(?![.a-z])((?: (?:\[)?--[a-z-]+)*)")


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Every task that a page names, with the options beside it; `a.b|c` are two tasks."""
    for task, options in COMMAND.findall(text):
        group, _, names = task.rpartition(".")
        for name in names.split("|"):
            yield f"{group}.{name}".lstrip("."), re.findall(r"--([a-z-]+)", options)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_says_to_type_exists(page: Path) -> None:
    known = tasks.namespace.task_names
    found = list(commands(page.read_text()))
    assert found
    for name, options in found:
        assert name in known, name
        flags = {flag.lstrip("-") for argument in tasks.namespace[name].get_arguments() for flag in argument.names}
        assert {option.replace("-", "_") for option in options} <= {flag.replace("-", "_") for flag in flags}, name


def text() -> str:
    return (ROOT / "docs" / "chameleon.md").read_text()


def test_the_prices_of_the_page_are_those_of_the_table() -> None:
    settings = load("chameleon", platform="vision")
    rates = {name: pricing.rate(site.lease) * site.lease.amount for name, site in settings.sites.items()}
    week = 168
    for figure in (f"{rates['kvm-tacc']:g} SU/h", f"{rates['kvm-tacc'] * week:g} SU", f"{rates['chi-uc'] * week:g} SU"):
        assert figure in text()
    per_hour = sum(rates.values())
    assert f"**{per_hour:g} SU/h** | **{per_hour * week:g} SU**" in text()
    assert pricing.AS_OF in text()
    assert f"{pricing.FLAVORS[trial.FLAVOR] * trial.HOURS:g} at most" in text()


def test_the_other_gpu_tier_costs_what_the_page_says() -> None:
    home = load("chameleon", platform="vision", backend="h100-kvm").sites["chi-uc"]
    rate = pricing.rate(home.lease) * home.lease.amount
    assert f"{rate:g} SU/h\n({rate * home.lease.hours:g} SU in a week)" in text()


def test_the_minutes_of_the_page_cost_what_it_says() -> None:
    per_hour = pricing.price(load("chameleon", platform="vision")).per_hour_su
    rows = re.findall(
        r"^\| \w+ \| (?:at most )?(\d+)(?: to (\d+))?[^|]*\| ([\d.]+)(?: to ([\d.]+))? \|", text(), re.MULTILINE
    )
    assert len(rows) == 3
    for low, high, su_low, su_high in rows:
        for minutes, su in ((low, su_low), (high, su_high)):
            assert not minutes or abs(int(minutes) / 60 * per_hour - float(su)) < 0.01


def test_the_windows_of_the_page_are_those_of_the_code() -> None:
    assert f"at most {obtaining.ACTIVE_S // 60} a lease" in text()
    gained_h = (extension.LONGEST_S - extension.WINDOW_S) // 3600
    rate = pricing.rate(load("chameleon", platform="vision").sites["chi-uc"].lease)
    assert f"it gains {gained_h} hours ({gained_h * rate:g} SU)" in text()
