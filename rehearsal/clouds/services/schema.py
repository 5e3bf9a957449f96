"""Databases that cannot be migrated on SQLite are built from their models: `python -m ... neutron|blazar ADDRESS`.

neutron's and blazar's migrations alter columns in place, which SQLite lacks. Nothing is ever upgraded here: another
version of the lock makes another template.
"""

from __future__ import annotations

import sys

import sqlalchemy


def main() -> None:
    """Create every table of one service's models."""
    service, address = sys.argv[1:]
    engine = sqlalchemy.create_engine(address)
    if service == "neutron":
        from neutron.db.migration.models import head  # noqa: F401  # importing it fills the metadata
        from neutron_lib.db import model_base

        model_base.BASEV2.metadata.create_all(engine)
    else:
        from blazar.db.sqlalchemy import models

        models.Lease.metadata.create_all(engine)


if __name__ == "__main__":
    main()
