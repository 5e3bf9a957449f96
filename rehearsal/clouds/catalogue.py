"""What keystone's catalogue says of each service: name, type, path after the address. Pure."""

from __future__ import annotations

from collections.abc import Mapping

CATALOGUE: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "placement": (("placement", "placement", ""),),
    "nova": (("nova", "compute", "/v2.1"),),
    "neutron": (("neutron", "network", ""),),
    "cinder": (("cinderv3", "block-storage", "/v3/%(project_id)s"), ("cinderv3", "volumev3", "/v3/%(project_id)s")),
    "glance": (("glance", "image", ""),),
    "blazar": (("blazar", "reservation", "/v1"),),
    "swift": (("swift", "object-store", "/v1/AUTH_%(project_id)s"),),
}
