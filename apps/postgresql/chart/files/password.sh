#!/bin/sh
# password.sh SECRET: the roles of a Secret get the password on standard input, on the running server. Connections stay.
set -eu
case $1 in
{{- range .Values.roles }}
{{ .secret }}) role={{ .name }} ;;
{{- end }}
*) echo "no role has its password from Secret $1" >&2; exit 64 ;;
esac
IFS= read -r PASSWORD
[ -n "$PASSWORD" ] || { echo "no password on standard input" >&2; exit 64; }
export PASSWORD
ROLE=$role psql --dbname postgres --file /etc/tandem/password.sql
