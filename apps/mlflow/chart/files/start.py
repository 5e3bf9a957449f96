"""Bring both databases and the users' passwords up to date, then serve, in this one process.

`mlflow server` does the same with a parent that only waits for its child: twice the memory, and a minute more until it
serves where cores are few. Passwords come by the environment (PGPASSWORD, MLFLOW_AUTH_ADMIN_PASSWORD, PASSWORD_<USER>),
never by argv.
"""

import os

import uvicorn  # before MLflow, which looks whether it is loaded to know that it runs as a server
from mlflow import db
from mlflow.server import constants

RUNS = os.environ["RUNS_DATABASE"]
os.environ["_MLFLOW_SGI_NAME"] = "uvicorn"
os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = RUNS
os.environ[constants.SERVE_ARTIFACTS_ENV_VAR] = "true"
os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = os.environ["ARTIFACTS"]
os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"

from mlflow.server import auth  # noqa: E402  it reads the environment when it is imported


def set_admin(name: str, password: str) -> None:
    """Make the admin, or give it the password that the vault has now: MLflow itself sets one only once."""
    auth.bootstrap_admin_user()
    if not auth.store.authenticate_user(name, password, use_primary=True):
        auth.store.update_user(name, password=password, is_admin=True)


def set_user(name: str, password: str) -> None:
    """Make a user who is no admin, or give it the password that the vault has now.

    Such a user reads everything, and writes what it made itself.
    """
    if not auth.store.has_user(name, use_primary=True):
        auth.store.create_user(name, password)
    elif not auth.store.authenticate_user(name, password, use_primary=True):
        auth.store.update_user(name, password=password, is_admin=False)


db.upgrade.callback(RUNS)
set_admin(auth.auth_config.admin_username, auth.auth_config.admin_password)
for user in os.environ.get("USERS", "").split():
    set_user(user, os.environ[f"PASSWORD_{user.upper()}"])
uvicorn.run(auth.create_app(), host="0.0.0.0", port=5000, timeout_graceful_shutdown=20, access_log=False)
