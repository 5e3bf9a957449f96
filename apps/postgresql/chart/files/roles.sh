#!/bin/sh
# Roles, their passwords from the mounted Secrets, databases and rights. Safe to repeat on a running server.
set -eu
psql --dbname postgres --file /etc/tandem/roles.sql
for role in $ROLES; do
  ROLE=$role PASSWORD=$(cat "/run/secrets/postgresql/$role") psql --dbname postgres --file /etc/tandem/password.sql
done
