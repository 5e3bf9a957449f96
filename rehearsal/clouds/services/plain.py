"""keystone, placement and glance: an application each and nothing beside it."""

from __future__ import annotations

from rehearsal.clouds.config.leases import IDENTITY_PREFIX
from rehearsal.clouds.layout import Tree
from rehearsal.clouds.services import wsgi


def keystone(tree: Tree) -> None:
    """Identity; also below a prefix, which is the only way Blazar can be told where it is."""
    from keystone.wsgi.api import application

    wsgi.serve(tree, "keystone", application, prefix="/" + IDENTITY_PREFIX)


def placement(tree: Tree) -> None:
    """Resource providers and allocations."""
    from placement.wsgi.api import application

    wsgi.serve(tree, "placement", application)


def glance(tree: Tree) -> None:
    """Images."""
    from glance.wsgi.api import application

    wsgi.serve(tree, "glance", application)
