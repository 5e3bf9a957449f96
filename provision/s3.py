"""The shipped S3 key, and requests signed with it (AWS signature version 4, in the URL): no secret is sent.

A signed URL can be handed to a host, which then reads or writes one object without ever seeing the key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from provision.errors import PreconditionMissing
from provision.settings import Settings

FIELDS = ("access", "secret", "endpoint", "region")
ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Key:
    """An S3 key and where it is good."""

    access: str
    secret: str
    endpoint: str
    region: str


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Where a site's key lies: JSON, 0600, outside the checkout."""

    path: Path
    site: str

    @classmethod
    def of(cls, settings: Settings, site_name: str) -> KeyFile:
        """The key file of a site."""
        return cls(settings.config_dir / f"ec2-{site_name}.json", site_name)

    def lacks(self) -> str:
        """What is wrong with it, in words; '' when it can be used."""
        if not self.path.exists():
            return f"{self.path} does not exist"
        try:
            told = json.loads(self.path.read_text())
        except ValueError:
            return f"{self.path} is not JSON"
        missing = [field for field in FIELDS if not (isinstance(told, dict) and told.get(field))]
        return f"{self.path} lacks {', '.join(missing)}" if missing else ""

    def read(self) -> Key:
        """The key. Raises PreconditionMissing."""
        lacks = self.lacks()
        if lacks:
            raise PreconditionMissing(
                f"{self.site}: no key for the object store", why=lacks, next="invoke --help provision.storage"
            )
        told = json.loads(self.path.read_text())
        return Key(*(str(told[field]) for field in FIELDS))


def presigned(key: Key, method: str, path: str, *, lasts_s: int = 300, now: datetime | None = None) -> str:
    """A URL that does one thing for a while. path: `/container/object`. Pure, given `now`."""
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{key.region}/s3/aws4_request"
    host = urlsplit(key.endpoint).netloc
    query = "&".join(
        f"{name}={quote(value, safe='')}"
        for name, value in (
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", f"{key.access}/{scope}"),
            ("X-Amz-Date", moment),
            ("X-Amz-Expires", str(lasts_s)),
            ("X-Amz-SignedHeaders", "host"),
        )
    )
    request = "\n".join((method, quote(path), query, f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"))
    digest = hashlib.sha256(request.encode()).hexdigest()
    signature = hmac.new(
        _signing_key(key, moment[:8]), "\n".join((ALGORITHM, moment, scope, digest)).encode(), hashlib.sha256
    ).hexdigest()
    return f"{key.endpoint.rstrip('/')}{quote(path)}?{query}&X-Amz-Signature={signature}"


def _signing_key(key: Key, day: str) -> bytes:
    made = f"AWS4{key.secret}".encode()
    for part in (day, key.region, "s3", "aws4_request"):
        made = hmac.new(made, part.encode(), hashlib.sha256).digest()
    return made
