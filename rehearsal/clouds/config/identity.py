"""keystone."""

from __future__ import annotations

from collections.abc import Mapping

from rehearsal.clouds.config.ini import Section, render
from rehearsal.clouds.config.shared import Subject, database, default, oslo

LOCKED_AFTER = 5


def keystone(subject: Subject) -> Mapping[str, str]:
    """keystone.conf. Password hashing is cheap on purpose: the passwords are long and random."""
    tree = subject.tree
    sections: dict[str, Section] = {
        "DEFAULT": default(subject, "keystone"),
        **oslo(subject),
        "database": database(subject, "keystone"),
        "token": {"provider": "fernet", "expiration": 86400},
        "fernet_tokens": {"key_repository": tree.file("fernet")},
        "fernet_receipts": {"key_repository": tree.file("fernet")},
        "credential": {"key_repository": tree.file("credential")},
        "cache": {"enabled": True, "backend": "oslo_cache.dict"},
        "identity": {"password_hash_rounds": 4},
        # Keystone 30 forbids application credentials to create trusts. Blazar makes one per lease, and Chameleon's
        # users lease with (unrestricted) application credentials, so the rehearsal must allow it too.
        # A password that is wrong too often locks its user until an administrator enables it again, as there.
        "security_compliance": {
            "allow_insecure_application_credential_trust_escalation": True,
            "lockout_failure_attempts": LOCKED_AFTER,
        },
    }
    return {"keystone.conf": render(sections)}
