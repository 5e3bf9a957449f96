"""The age identity made here: bech32 as BIP 173 has it, and a recipient that belongs to its secret."""

from __future__ import annotations

import pytest

from provision import age


def test_a_new_identity_names_its_own_recipient() -> None:
    text = age.new_identity()
    assert text.startswith(f"# public key: {age.recipient(text)}\nAGE-SECRET-KEY-1")


def test_two_identities_differ() -> None:
    assert age.new_identity() != age.new_identity()


def test_bech32_comes_back() -> None:
    data = bytes(range(32))
    assert age.unbech32("age", age.bech32("age", data)) == data


def test_the_recipient_is_the_one_that_age_keygen_names() -> None:
    line = age.bech32("age-secret-key-", bytes(range(32))).upper()
    assert age.recipient(line) == "age13aqvttdk3ujkyjh9kg2w5an6dmy5mq5a84a4uxk3hfhnugfc9p0sy5p2wh"


def test_bech32_is_that_of_bip_173() -> None:
    assert age.bech32("a", b"") == "a12uel5l"


@pytest.mark.parametrize("spoilt", ["age1qqqq", "a12uel5m", "b12uel5l"])
def test_a_wrong_checksum_or_prefix_is_refused(spoilt: str) -> None:
    with pytest.raises(ValueError):
        age.unbech32("a", spoilt)


def test_a_file_without_identity_is_refused() -> None:
    with pytest.raises(ValueError, match="no AGE-SECRET-KEY"):
        age.recipient("# nothing here\n")
