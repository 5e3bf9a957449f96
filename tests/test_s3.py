"""Signed URLs against AWS's own published example, and what a key file may lack."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from provision.errors import PreconditionMissing
from provision.s3 import Key, KeyFile, presigned

EXAMPLE = Key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "https://examplebucket.s3.amazonaws.com",
              "us-east-1")  # fmt: skip


def test_the_signature_is_aws_s_own() -> None:
    """From AWS's documentation, "Authenticating requests: using query parameters"."""
    url = presigned(EXAMPLE, "GET", "/test.txt", lasts_s=86400, now=datetime(2013, 5, 24, tzinfo=UTC))
    assert url.endswith("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


def test_the_secret_is_not_in_the_url() -> None:
    url = presigned(EXAMPLE, "PUT", "/bucket/an object", now=datetime(2013, 5, 24, tzinfo=UTC))
    assert EXAMPLE.secret not in url
    assert "/bucket/an%20object?" in url


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        (None, "does not exist"),
        ("{", "is not JSON"),
        ('{"access": "a"}', "lacks secret, endpoint, region"),
        ('{"access": "a", "secret": "s", "endpoint": "http://e", "region": "r"}', ""),
    ],
)
def test_a_key_file_says_what_it_lacks(tmp_path: Path, text: str | None, lacks: str) -> None:
    file = KeyFile(tmp_path / "ec2-chi-uc.json", "chi-uc")
    if text is not None:
        file.path.write_text(text)
    assert file.lacks().endswith(lacks) and bool(file.lacks()) == bool(lacks)
    if lacks:
        with pytest.raises(PreconditionMissing):
            file.read()
    else:
        assert file.read() == Key("a", "s", "http://e", "r")
