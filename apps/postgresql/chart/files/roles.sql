-- The password is read by psql itself: it stands in no command line and in no log.
\getenv role ROLE
\getenv database DATABASE
\set password `cat /run/secrets/postgresql/password`
SELECT format('CREATE ROLE %I LOGIN', :'role') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" WITH LOGIN PASSWORD :'password';
ALTER ROLE postgres WITH PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
