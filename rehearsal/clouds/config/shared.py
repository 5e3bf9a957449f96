"""What every service's configuration has in common: where it logs, how it reaches keystone, no broker."""

from __future__ import annotations

from dataclasses import dataclass

from rehearsal.clouds.config.ini import Section
from rehearsal.clouds.layout import Tree
from rehearsal.clouds.sites import CloudSite

SERVICE_USER = "tandem-services"
_QUIET = (
    "amqp=WARN,sqlalchemy=WARN,oslo=INFO,oslo.messaging=INFO,oslo_messaging=INFO,iso8601=WARN,"
    "requests.packages.urllib3.connectionpool=WARN,urllib3.connectionpool=WARN,routes.middleware=WARN,"
    "keystonemiddleware=ERROR,stevedore=CRITICAL,neutronclient=ERROR,taskflow=WARN,keystoneauth=WARN,"
    "oslo.cache=INFO,oslo_policy=INFO,dogpile.core.dogpile=INFO,glanceclient=WARN"
)
"""oslo.log's own list, plus three that complain about optional parts at every request."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Passwords of one tree, made once with its template."""

    admin: str
    service: str
    user: str
    swift_hash: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose configuration is being written."""

    tree: Tree
    site: CloudSite
    secrets: Secrets


def default(subject: Subject, service: str) -> Section:
    """The [DEFAULT] of every service: plain logs, RPC that never leaves the process."""
    tree = subject.tree
    return {
        "log_file": tree.file("log", service + ".log"),
        "debug": False,
        "default_log_levels": _QUIET,
        "transport_url": "fake://",
        "state_path": tree.file("state"),
        "host": f"{tree.site}-{service}",
    }


def oslo(subject: Subject) -> dict[str, Section]:
    """Sections of the common libraries."""
    return {
        "oslo_concurrency": {"lock_path": subject.tree.file("locks")},
        "oslo_messaging_notifications": {"driver": "noop"},
    }


def database(subject: Subject, name: str) -> Section:
    """One SQLite file."""
    return {"connection": subject.tree.database(name), "sqlite_synchronous": False}


def login(subject: Subject) -> Section:
    """How a service speaks to another one."""
    return {
        "auth_url": subject.site.auth_url,
        "auth_type": "password",
        "username": SERVICE_USER,
        "password": subject.secrets.service,
        "project_name": "service",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
        "region_name": subject.site.region,
    }


def token_check(subject: Subject) -> Section:
    """How a service checks the tokens it is shown."""
    return {
        "www_authenticate_uri": subject.site.auth_url,
        **login(subject),
        "service_token_roles": "service",
        "service_token_roles_required": True,
    }
