-- What the pod knows of its backups, for who watches: in database postgres, for role monitor.
CREATE TABLE IF NOT EXISTS base_backups (
    id       text PRIMARY KEY,
    ended    timestamptz NOT NULL,
    seconds  double precision NOT NULL,
    bytes    bigint NOT NULL  -- of all databases, before compression
);
CREATE OR REPLACE VIEW backup_status AS
SELECT coalesce(extract(epoch FROM now() - (SELECT max(ended) FROM base_backups)), 'infinity') AS base_backup_age_s,
       (SELECT count(*) FROM base_backups)                                                     AS base_backups,
       coalesce(extract(epoch FROM now() - last_archived_time), 'infinity')                    AS archived_age_s,
       last_archived_wal, archived_count, failed_count,
       coalesce(last_failed_time > last_archived_time, last_failed_time IS NOT NULL)           AS archiving_fails
FROM pg_stat_archiver;
