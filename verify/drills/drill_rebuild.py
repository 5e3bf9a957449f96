"""Both clusters are destroyed and built anew, volume and object store kept: what people made is there as it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from provision.engine import open_sites
from provision.settings import Settings
from provision.site import Site
from provision.state import Run
from provision.wait import never, wait_until
from verify.drills import contents, holdings
from verify.drills.cli import Cli
from verify.drills.holdings import Holdings
from verify.drills.listing import Listing

SITE = "kvm-tacc"
# What must have been there for the drill to prove anything.
MADE = ("mlflow.runs", "label_studio.task_completion", "tandem.chunks", "notebooks")


@pytest.fixture
def filled(doors: Mapping[str, Site]) -> Iterator[None]:
    """A run with an artifact, an annotation, a notebook and vectors of ours; gone afterwards, from the new clusters."""
    contents.make(doors[SITE])
    yield
    contents.remove(doors[SITE])


@pytest.mark.slow
@pytest.mark.breaks
def test_what_people_made_outlives_both_clusters(
    cli: Cli,
    settings: Settings,
    run: Run,
    filled: None,
    clouds: Mapping[str, Listing],
    figure: Callable[[str], None],
) -> None:
    """`provision.destroy` without `--data`, then `provision.all`: the same counts and checksums, on the same volume."""
    moment, volumes = int(time.time()), clouds[SITE].volume_ids()
    settle(cli, moment)
    before = held(settings, open_sites(settings, run), moment)
    figure(f"before: {holdings.told(before)}")
    destroyed = cli.must("provision.destroy", deadline="drill.converge_deadline_s")
    kept = [row["what"] for row in destroyed.data["kept"]]
    figure(f"destroyed in {destroyed.seconds:.0f} s, kept: {', '.join(kept)}")
    built = cli.must("provision.all", deadline="drill.converge_deadline_s")
    after = held(settings, open_sites(settings, run), moment)
    figure(f"built again in {built.seconds:.0f} s; after: {holdings.told(after)}")
    assert [name for name in MADE if not before[name].count] == []
    assert [name for name in before if name.startswith("samples of")] == [
        f"samples of {name}" for name in settings.sites
    ]
    assert holdings.differences(before, after) == []
    assert clouds[SITE].volume_ids() == volumes
    assert any(what.startswith("volume ") for what in kept)


def held(settings: Settings, sites: Mapping[str, Site], moment: int) -> Holdings:
    """Everything that is compared."""
    site = sites[SITE]
    return {
        **holdings.rows(site),
        **holdings.notebooks(site),
        **holdings.objects(settings),
        **holdings.samples(site, moment),
    }


def settle(cli: Cli, moment: int) -> None:
    """Samples of the other site are on their way for a while: what is counted must have arrived."""
    wait_until(
        "the samples of the moment that is compared",
        lambda: time.time() - moment,
        lambda age: age >= cli.budget("monitoring.sample_age_s"),
        never,
        deadline_s=cli.budget("monitoring.sample_age_s") + 5,
        every_s=5.0,
    )
