-- One role an application, one database a purpose; nobody gets into a database that is not named for them.
REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;
{{- range .Values.roles }}
{{- $role := .name }}
SELECT 'CREATE ROLE {{ .name }} LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{{ .name }}') \gexec
{{- with .member }}
GRANT {{ . }} TO {{ $role }};
{{- end }}
{{- range .owns }}
SELECT 'CREATE DATABASE {{ . }} OWNER {{ $role }}' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{{ . }}') \gexec
REVOKE CONNECT, TEMPORARY ON DATABASE {{ . }} FROM PUBLIC;
{{- end }}
{{- end }}
{{- range .Values.roles }}
{{- $role := .name }}
{{- range .reads }}
GRANT CONNECT ON DATABASE {{ . }} TO {{ $role }};
\connect {{ . }}
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {{ $role }};
SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public GRANT SELECT ON TABLES TO {{ $role }}', pg_get_userbyid(datdba))
FROM pg_database WHERE datname = current_database() \gexec
{{- end }}
{{- end }}
