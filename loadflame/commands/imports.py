"""`loadflame import`: the results of another load generator as a run, with the report that goes with it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadflame.commands.common import AsJson, Broker, DataDir, StoreUrl
from loadflame.settings import read_settings
from loadflame.verdicts import exit_code


def import_file(
    file: Annotated[Path, typer.Argument(help="What the other tool wrote; gzip is read, too.")],
    service: Annotated[str, typer.Option(help="Name of the service in reports.")],
    tool: Annotated[
        str | None, typer.Option("--from", help="k6, vegeta, locust or jmeter; default: told by the first lines.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Run id, the one that `loadflame profile` was given; default: a new one.")
    ] = None,
    broker: Broker = None,
    store: StoreUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a run of FILE, the results of k6 (JSON, or its Kafka messages), vegeta, Locust or JMeter, and report on it.

    An agent that watched the service meanwhile under the same --run is joined with it. Lines that are not understood
    are counted and shown. Latency is the tool's own: it counts from when the tool sent, not from a schedule.
    """
    from loadflame.importing import import_and_report

    settings = read_settings(broker=broker, store=store, data_dir=data_dir)
    console = Console(stderr=as_json)
    report = import_and_report(file, tool, settings, console, service=service, run=run, as_json=as_json)
    raise typer.Exit(exit_code(report.run.verdict))
