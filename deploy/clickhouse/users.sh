#!/bin/sh
# Run once by the ClickHouse image at its first start: the three users of sinks/users.sql, passwords from the environment.
set -eu
clickhouse-client --password "$CLICKHOUSE_PASSWORD" --multiquery --queries-file /srv/users.sql \
  --param_migrator_password="$MIGRATOR_PASSWORD" \
  --param_writer_password="$WRITER_PASSWORD" \
  --param_reader_password="$READER_PASSWORD"
