"""`loadflame verify`: is everything stored once, and does the accounting close?"""

import json

import typer
from rich.console import Console

from loadflame.commands.common import AsJson, Broker, DataDir, StoreUrl
from loadflame.commands.report import Run
from loadflame.kafka_access import security_of
from loadflame.settings import read_settings


def verify(
    run: Run = "last", broker: Broker = None, store: StoreUrl = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Check the delivery invariants of a run: sent = counted, stored once, derived = recomputed, sums close.

    With --broker the topics are read too (I4). Exit code 1 when one does not hold.
    """
    from loadflame.checks import checks_table
    from processors.verify import Topic, verify_run
    from sinks.clickhouse import ClickHouseStore, open_for_reading
    from views.runs import resolve_run

    settings = read_settings(broker=broker, store=store, data_dir=data_dir)
    where = None
    if settings.broker:
        where = Topic(settings.broker, settings.topics, settings.group, security=security_of(settings))
    opened = ClickHouseStore(open_for_reading(settings.store_url))
    try:
        checks = verify_run(opened, resolve_run(opened.client, run), where)
    finally:
        opened.close()
    if as_json:
        typer.echo(json.dumps([{"name": c.name, "ok": c.ok, "sentence": c.sentence} for c in checks], indent=2))
    else:
        Console().print(checks_table(checks))
    if any(check.ok is False for check in checks):
        raise typer.Exit(1)
