"""Which version goes to which stage next, as data."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from provision import ladder
from provision.errors import UsageError
from serving.lifecycle import Move
from serving.stages import NAMES

CHOICES: Mapping[str, tuple[Mapping[str, str], str, str, Move | str]] = {
    "the only one due": ({**dict.fromkeys(NAMES, "1"), "testing": "2"}, "", "", Move("embedder", "staging", "1", "2")),
    "to a stage": ({"staging": "2", "canary": "1"}, "", "canary", Move("embedder", "canary", "1", "2")),
    "a version, to its next stage": ({"testing": "2", "staging": "2"}, "2", "", Move("embedder", "canary", "", "2")),
    "a new version": ({"testing": "1"}, "2", "", Move("embedder", "testing", "1", "2")),
    "a version of before, begun anew": ({"testing": "2"}, "1", "testing", Move("embedder", "testing", "2", "1")),
    "nothing is due": (dict.fromkeys(NAMES, "1"), "", "", "nothing is due"),
    "two are due": ({"testing": "3", "staging": "2", "canary": "1"}, "", "", "more than one is due: staging canary"),
    "a stage left out": ({"testing": "2", "staging": "1"}, "2", "canary", "cannot go to canary"),
    "it is there": ({"testing": "2", "staging": "2"}, "2", "staging", "is at staging"),
    "it is at the top": (dict.fromkeys(NAMES, "1"), "1", "", "is at production"),
    "nothing below": ({}, "", "staging", "no version is at testing"),
    "nothing below the first": ({}, "", "testing", "no version is at no stage"),
    "no such stage": ({"testing": "1"}, "", "prod", "no stage 'prod'"),
}


@pytest.mark.parametrize(("aliases", "number", "to", "wanted"), CHOICES.values(), ids=CHOICES)
def test_what_is_asked_for_is_one_step_up(aliases: Mapping[str, str], number: str, to: str, wanted: Move | str) -> None:
    if isinstance(wanted, Move):
        assert ladder.chosen("embedder", aliases, number, to) == wanted
        return
    with pytest.raises(UsageError) as refused:
        ladder.chosen("embedder", aliases, number, to)
    assert wanted in refused.value.what
    assert refused.value.next.startswith("invoke serving.")
