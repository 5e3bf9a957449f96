from __future__ import annotations

from itertools import pairwise

import pytest

from pipelines.ingest import chunks

TEXT = " ".join(f"w{number}" for number in range(500))


def test_every_word_is_in_a_chunk_in_its_order() -> None:
    found = chunks.split(TEXT, words=120, overlap=24)
    fresh = [found[0].split(), *(piece.split()[24:] for piece in found[1:])]
    assert " ".join(word for piece in fresh for word in piece) == TEXT


def test_neighbours_share_the_overlap() -> None:
    found = [piece.split() for piece in chunks.split(TEXT, words=120, overlap=24)]
    assert all(left[-24:] == right[:24] for left, right in pairwise(found))


@pytest.mark.parametrize(
    ("count", "pieces"), [(0, 0), (1, 1), (24, 1), (25, 1), (120, 1), (121, 2), (216, 2), (217, 3)]
)
def test_no_chunk_is_longer_than_asked_or_only_overlap(count: int, pieces: int) -> None:
    found = chunks.split(" ".join(["word"] * count), words=120, overlap=24)
    assert len(found) == pieces
    assert all(len(piece.split()) <= 120 for piece in found)
    assert all(len(piece.split()) > 24 for piece in found[1:])


def test_the_same_text_gives_the_same_chunks_whatever_its_white_space() -> None:
    spread = TEXT.replace(" ", " \f\n  ")
    assert chunks.split(spread, words=50, overlap=5) == chunks.split(TEXT, words=50, overlap=5)


def test_what_has_no_spaces_is_cut() -> None:
    found = chunks.split("x" * 1000, words=10, overlap=2)
    assert max(len(word) for piece in found for word in piece.split()) == chunks.LONGEST_WORD


def test_text_is_what_a_database_and_a_model_take() -> None:
    assert chunks.clean("e\ufb03cient\0 neigh-\nbours \ud83d \u00adsoft") == "efficient neighbours ? soft"
