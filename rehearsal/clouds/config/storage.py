"""cinder (block), glance (images) and swift (objects, with S3)."""

from __future__ import annotations

from collections.abc import Mapping

from rehearsal.clouds.config.ini import Section, render
from rehearsal.clouds.config.shared import Subject, database, default, login, oslo, token_check
from rehearsal.clouds.layout import PORTS

BACKEND = "sparse"
SWIFT_BACKENDS: Mapping[str, int] = {"account": 6202, "container": 6201, "object": 6200}
"""Swift's inner servers know no tokens: they listen on the namespace's loopback, where no host can reach them."""
LOOPBACK = "127.0.0.1"
S3_REGION = "us-east-1"
"""What clients sign with. Chameleon's gateway takes S3's default; clients refuse a name such as CHI@UC."""
_PIPELINE = (
    "catch_errors healthcheck proxy-logging cache listing_formats bulk tempurl "
    # s3api between authtoken and s3token, or every signature is compared with an anonymous one.
    "authtoken s3api s3token keystoneauth copy slo dlo proxy-logging proxy-server"
)
_FILTERS: Mapping[str, str] = {
    "catch_errors": "catch_errors",
    "healthcheck": "healthcheck",
    "proxy-logging": "proxy_logging",
    "bulk": "bulk",
    "listing_formats": "listing_formats",
    "tempurl": "tempurl",
    "copy": "copy",
    "slo": "slo",
    "dlo": "dlo",
}


def cinder(subject: Subject) -> Mapping[str, str]:
    """cinder.conf: api, scheduler and one volume service on our driver."""
    tree = subject.tree
    sections: dict[str, Section] = {
        "DEFAULT": {
            **default(subject, "cinder"),
            "auth_strategy": "keystone",
            "api_paste_config": tree.venv / "etc/cinder/api-paste.ini",
            "enabled_backends": BACKEND,
            "default_volume_type": "__DEFAULT__",
            "scheduler_driver_init_wait_time": 1,
            "service_down_time": 120,
            "glance_api_servers": subject.site.url("glance"),
            "resource_query_filters_file": tree.venv / "etc/cinder/resource_filters.json",
        },
        **oslo(subject),
        BACKEND: {
            "volume_driver": "rehearsal.clouds.services.volume_driver.SparseDriver",
            "volume_backend_name": BACKEND,
            "volumes_dir": tree.state / "volumes",
        },
        "keystone_authtoken": token_check(subject),
        "database": database(subject, "cinder"),
        "nova": login(subject),
        "coordination": {"backend_url": f"file://{tree.file('state')}"},
        "service_user": {**login(subject), "send_service_user_token": True},
    }
    return {"cinder.conf": render(sections)}


def glance(subject: Subject) -> Mapping[str, str]:
    """glance-api.conf."""
    tree = subject.tree
    sections: dict[str, Section] = {
        "DEFAULT": {
            **default(subject, "glance"),
            "enabled_backends": "images:file",
            "worker_self_reference_url": subject.site.url("glance"),
            "enabled_import_methods": "[]",
        },
        **oslo(subject),
        "keystone_authtoken": token_check(subject),
        "glance_store": {"default_backend": "images"},
        "images": {"filesystem_store_datadir": tree.file("images")},
        "os_glance_staging_store": {"filesystem_store_datadir": tree.file("staging")},
        "os_glance_tasks_store": {"filesystem_store_datadir": tree.file("tasks")},
        "paste_deploy": {"flavor": "keystone", "config_file": tree.venv / "etc/glance/glance-api-paste.ini"},
        "database": database(subject, "glance"),
    }
    return {"glance-api.conf": render(sections)}


def swift(subject: Subject) -> Mapping[str, str]:
    """swift.conf, proxy.conf and one file per inner server."""
    salt = subject.secrets.swift_hash
    files = {
        "swift.conf": render(
            {
                "swift-hash": {"swift_hash_path_suffix": salt, "swift_hash_path_prefix": salt},
                "storage-policy:0": {"name": "one", "default": "yes"},
            }
        ),
        "proxy.conf": render(_proxy(subject)),
    }
    for server, port in SWIFT_BACKENDS.items():
        files[f"{server}.conf"] = render(_inner(subject, server, port))
    return files


def _inner(subject: Subject, server: str, port: int) -> Mapping[str, Section]:
    return {
        "DEFAULT": {
            "bind_ip": LOOPBACK,
            "bind_port": port,
            "swift_dir": subject.tree.file("etc/swift"),
            "devices": subject.tree.file("swift"),
            "mount_check": False,
            "fallocate_reserve": 0,
            "disable_fallocate": True,
        },
        "pipeline:main": {"pipeline": f"{server}-server"},
        f"app:{server}-server": {"use": f"egg:swift#{server}"},
    }


def _proxy(subject: Subject) -> Mapping[str, Section]:
    token = {key: value for key, value in login(subject).items() if key != "region_name"}
    auth_url = subject.site.auth_url
    return {
        "DEFAULT": {
            "bind_ip": str(subject.site.address),
            "bind_port": PORTS["swift"],
            "swift_dir": subject.tree.file("etc/swift"),
        },
        "pipeline:main": {"pipeline": _PIPELINE},
        "app:proxy-server": {"use": "egg:swift#proxy", "account_autocreate": True},
        **{f"filter:{name}": {"use": f"egg:swift#{entry}"} for name, entry in _FILTERS.items()},
        # No memcached: an address that refuses at once.
        "filter:cache": {"use": "egg:swift#memcache", "memcache_servers": f"{LOOPBACK}:1"},
        "filter:s3api": {"use": "egg:swift#s3api", "s3_acl": False, "location": S3_REGION},
        "filter:s3token": {"use": "egg:swift#s3token", "auth_uri": auth_url, **token},
        "filter:authtoken": {
            "paste.filter_factory": "keystonemiddleware.auth_token:filter_factory",
            "www_authenticate_uri": auth_url,
            **token,
            "delay_auth_decision": True,
        },
        "filter:keystoneauth": {"use": "egg:swift#keystoneauth", "operator_roles": "admin, member"},
    }
