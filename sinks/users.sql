-- The three users of a ClickHouse server: who makes the tables, who fills them, who reads them. Run once by an
-- administrator who may manage access, with the passwords as parameters, so that they stand in no file:
--
--   clickhouse-client --queries-file sinks/users.sql --param_migrator_password="$MIGRATOR_PASSWORD" \
--     --param_writer_password="$WRITER_PASSWORD" --param_reader_password="$READER_PASSWORD"
--
-- The worker needs the first two only if it is to migrate by itself: `sinks.migrate` under the migrator, then the
-- writer for everything else. Names are those of the default database, loadflame.

CREATE USER IF NOT EXISTS loadflame_migrator IDENTIFIED WITH sha256_password BY {migrator_password:String};
CREATE USER IF NOT EXISTS loadflame_writer IDENTIFIED WITH sha256_password BY {writer_password:String};
-- readonly = 2: queries only, but a query may set its own limits, as Grafana's data source does.
CREATE USER IF NOT EXISTS loadflame_reader IDENTIFIED WITH sha256_password BY {reader_password:String}
SETTINGS readonly = 2;

GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, ALTER, SELECT, INSERT
ON loadflame.* TO loadflame_migrator;

-- ALTER DELETE and ALTER UPDATE are what a lightweight DELETE of orphaned rows asks for. The writer makes nothing.
GRANT SELECT, INSERT, ALTER DELETE, ALTER UPDATE ON loadflame.* TO loadflame_writer;

-- The views read with the rights of who asks, so the reader's right is to the tables behind them as well.
GRANT SELECT ON loadflame.* TO loadflame_reader;
