"""The two rehearsal clouds: real OpenStack services, one process tree a site, catalogues with only what that site has.

`trees` is the door for the rest of the rehearsal; `services` runs in the OpenStack environment's own Python, so nothing
outside the standard library (and the standard-library half of `provision`) may be imported on the way to it.
"""

APT_PACKAGES: tuple[str, ...] = ("mount", "util-linux")
"""Debian packages the clouds need: losetup and nsenter. Everything else comes with the wheels of openstack.lock."""
