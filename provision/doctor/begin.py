"""From no account to a first run, as a text to follow. Facts: Chameleon's documentation, as docs/chameleon.md cites."""

from __future__ import annotations

from provision import pricing
from provision.doctor.trial import FLAVOR, HOURS
from provision.settings import Settings

ENTRY = """  {cloud}:
    auth_type: v3applicationcredential
    auth:
      auth_url: {auth_url}
      application_credential_id: ...
      application_credential_secret: ...
    region_name: {region}
    interface: public
    identity_api_version: 3"""

STEPS = """From no account to a first run (docs/chameleon.md says more, with what each step costs)

1. An account at chameleoncloud.org, and a project with an allocation (asked for once; a person there decides).
2. Per site an application credential, made in its dashboard under Identity -> Application Credentials: tick
   Unrestricted (else leases end in HTTP 500), choose the roles member and reader, let it outlive the allocation.
{dashboards}
3. Both into {clouds}, chmod 600:
clouds:
{entries}
4. The allocation's end and balance, from the project's page in the portal, under [allocation] in
   provision/environments/{env}.toml.
5. export TANDEM_ENV={env} TANDEM_PLATFORM=<a name: the project is shared, and names tell whose things are>
   ./tandem invoke doctor            asks both sites, once, and changes nothing
   ./tandem invoke doctor --live     the smallest lease there is, booted, reached, removed: {su:g} SU at most
   ./tandem invoke provision.plan    what would be made, and what it costs
   ./tandem invoke provision.all     asks before it spends
6. The object store's S3 key needs a password login: ./tandem invoke --help provision.storage

Without any of it, the same code runs on one machine: ./tandem invoke provision.all (environment rehearsal)."""


def text(settings: Settings) -> str:
    """The steps, with this environment's file, sites and addresses."""
    sites = settings.sites.values()
    return STEPS.format(
        env=settings.env,
        su=pricing.FLAVORS[FLAVOR] * HOURS,
        clouds=settings.clouds_path,
        entries="\n".join(ENTRY.format(cloud=s.cloud, auth_url=s.auth_url, region=s.region) for s in sites),
        dashboards="\n".join(f"   {s.region}: {s.auth_url.rpartition(':')[0]}" for s in sites),
    )
