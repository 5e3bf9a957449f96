"""Bring the database and the admin up to date, then serve. Safe to repeat, and beside a pod that still serves.

`label-studio start` would serve with Django's development server, and would set password and token only once.
"""

import os
import signal
import sys
import time
from pathlib import Path

import django
import label_studio
import waitress

sys.path.insert(0, str(Path(label_studio.__file__).parent))  # its modules name each other from there
os.environ["DJANGO_SETTINGS_MODULE"] = "core.settings.label_studio"
django.setup()

from core.wsgi import application  # noqa: E402  all that follows needs the settings
from django.core.management import call_command  # noqa: E402
from django.db import OperationalError, connection, connections, transaction  # noqa: E402
from organizations.models import Organization  # noqa: E402
from rest_framework.authtoken.models import Token  # noqa: E402
from users.models import User  # noqa: E402

WAIT_S, EVERY_S = 120, 1


def await_database():
    """After a node has come back, both may start at once: ending would make the next try wait longer each time."""
    over = time.monotonic() + WAIT_S
    while True:
        try:
            return connection.ensure_connection()
        except OperationalError:
            if time.monotonic() > over:
                raise
        time.sleep(EVERY_S)


@transaction.atomic
def set_admin(email, password, token):
    """The user, its password and its token as the vault has them now, in an organization that takes tokens."""
    user = User.objects.filter(email=email).first() or User(email=email, username=email.split("@")[0])
    user.is_staff = user.is_superuser = user.is_active = True
    if not user.check_password(password):
        user.set_password(password)
    user.save()
    organization = Organization.objects.first() or Organization.create_organization(created_by=user, title="tandem")
    organization.add_user(user)
    organization.jwt.legacy_api_tokens_enabled = True
    organization.jwt.save()
    user.active_organization = organization
    user.save()
    if not Token.objects.filter(user=user, key=token).exists():
        Token.objects.filter(user=user).delete()
        Token.objects.create(user=user, key=token)


await_database()
call_command("locked_migrate", interactive=False, verbosity=0)
set_admin(os.environ["ADMIN"], os.environ["ADMIN_PASSWORD"], os.environ["ADMIN_TOKEN"])
connections.close_all()
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
# One process: a second one would hold all of it in memory again.
waitress.serve(application, host="0.0.0.0", port=8080, threads=int(os.environ["THREADS"]), ident=None)
