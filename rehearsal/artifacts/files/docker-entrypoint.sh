#!/bin/sh
# PostgreSQL in a container, with the environment that the upstream image understands:
# POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE (required at the first start), POSTGRES_USER, POSTGRES_DB, PGDATA,
# POSTGRES_INITDB_ARGS; *.sql and *.sh in /docker-entrypoint-initdb.d run once.
set -eu

if [ "${1:-}" != postgres ]; then exec "$@"; fi

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown -R 999:999 "$PGDATA" /var/run/postgresql
    exec setpriv --reuid 999 --regid 999 --clear-groups "$0" "$@"
fi

secret() {  # value of the variable $1, or of the file that $1_FILE names, or $2
    eval "value=\${$1:-} file=\${$1_FILE:-}"
    if [ -n "$file" ]; then cat "$file"; else printf %s "${value:-$2}"; fi
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=$(secret POSTGRES_PASSWORD "")
    user=$(secret POSTGRES_USER postgres)
    database=$(secret POSTGRES_DB "$user")
    if [ -z "$password" ]; then echo "POSTGRES_PASSWORD is not set and the data folder is empty" >&2; exit 1; fi
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    # A start that was killed before leaves a folder that initdb refuses; nothing in it was ever used.
    find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf {} +
    work=$PGDATA.init
    rm -rf "$work" 2>/dev/null || true
    printf %s "$password" > /tmp/password
    # shellcheck disable=SC2086  # several arguments are meant
    initdb -D "$PGDATA" -U "$user" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 \
        --locale=C.UTF-8 ${POSTGRES_INITDB_ARGS:-}
    rm -f /tmp/password
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    pg_ctl -D "$PGDATA" -w -o "-c listen_addresses=''" start
    if [ "$database" != postgres ]; then
        psql -v ON_ERROR_STOP=1 -U "$user" -d postgres -c "CREATE DATABASE \"$database\""
    fi
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sql) psql -v ON_ERROR_STOP=1 -U "$user" -d "$database" -f "$file" ;;
            *.sh) sh "$file" ;;
        esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec "$@"
