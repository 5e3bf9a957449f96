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

# Written before the first file and removed after the last: a first start that was killed is done again from nothing.
half=$PGDATA/.initialising

if [ -e "$half" ] || [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=$(secret POSTGRES_PASSWORD "")
    user=$(secret POSTGRES_USER postgres)
    database=$(secret POSTGRES_DB "$user")
    if [ -z "$password" ]; then echo "POSTGRES_PASSWORD is not set and the data folder is empty" >&2; exit 1; fi
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    if [ -e "$half" ]; then
        for entry in "$PGDATA"/*; do
            case $entry in */lost+found) ;; *) rm -rf "$entry" ;; esac
        done
    fi
    # initdb wants an empty folder, so it works in one of its own and the files move afterwards.
    : > "$half"
    rm -rf "$PGDATA/.new"
    mkdir -m 700 "$PGDATA/.new"
    (umask 077 && printf %s "$password" > "$PGDATA/.password")
    # shellcheck disable=SC2086  # several arguments are meant
    initdb -D "$PGDATA/.new" -U "$user" --pwfile="$PGDATA/.password" --auth-local=trust --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 ${POSTGRES_INITDB_ARGS:-}
    rm "$PGDATA/.password"
    mv "$PGDATA"/.new/* "$PGDATA"/
    rmdir "$PGDATA/.new"
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
    rm "$half"
fi
exec "$@"
