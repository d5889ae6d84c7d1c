"""`loadflame load`: send a plan's requests and publish every outcome."""

import asyncio
import time
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from loadflame.commands.common import AllowHost, Broker, WatchPort, broker_of, next_line, run_until_stopped, say_ready
from loadflame.kafka_access import security_of
from loadflame.logs import logs_about
from loadflame.settings import Settings, SettingsError, read_settings
from loadflame.stopping import BEFORE_LOAD, StoppedError, unless
from loadflame.verdicts import exit_code
from loadflame.watching import Watch, watching
from schemas.loading import load_arrow
from schemas.moments import parse_moment_us

TOLD: Final = "-"
"""As --start-at: the first arrival is read from standard input."""
_ON_ITS_WAY_S = 1.0


def load(
    plan: Annotated[Path, typer.Argument(help="The plan, a YAML file; see the README for its form.")],
    broker: Broker = None,
    run: Annotated[str | None, typer.Option(help="Take part in this run instead of opening one.")] = None,
    open_run: Annotated[
        str | None, typer.Option(help="Open a run of this id, which an agent may know already.")
    ] = None,
    start_at: Annotated[
        str | None,
        typer.Option(
            help="First arrival: 2026-05-01T18:30:00Z, microseconds since the Unix epoch, or - to read it from "
            "standard input once this load has said `ready`."
        ),
    ] = None,
    shard: Annotated[str, typer.Option(help="Send only this part of the plan: 2/8 is the second of eight.")] = "1/1",
    producer: Annotated[
        str | None, typer.Option(hidden=True, help="Publish under this id, which whoever starts us knows.")
    ] = None,
    allow_host: AllowHost = None,
    watch_port: WatchPort = None,
) -> None:
    """Send the requests of PLAN and publish every outcome to Kafka; profiling and storing happen elsewhere.

    Several hosts share one run when each gets the same plan, run and --start-at, and a --shard of its own: one of them
    opens the run with --open-run and says when all have ended, the others take part with --run. They begin together
    even where their clocks differ: --start-at, and times of day in the plan, are meant by Kafka's clock as soon as the
    host's is notably off from it. Ctrl-C ends the schedule and publishes what was measured; exit code 130 then.
    """
    settings = read_settings(
        broker=broker, allow_hosts=tuple(allow_host) if allow_host else None, watch_port=watch_port
    )
    if run and open_run:
        raise SettingsError("give --run to take part in a run or --open-run to open one, not both")
    begins = None if start_at is None else _begins(start_at)

    load_arrow()
    from loadflame.starting import new_run_id

    run_id, opens = run or open_run or new_run_id(), run is None

    async def watched(stop: asyncio.Event) -> bool:
        with logs_about(run=run_id):
            async with watching(settings) as watch:
                return await _load(
                    plan, settings, run_id, begins, shard, stop, watch, producer_id=producer, opens=opens
                )

    if run_until_stopped(watched):
        raise typer.Exit(exit_code("aborted"))


def _begins(text: str) -> int | Literal["-"]:
    return TOLD if text == TOLD else _moment_us(text)


async def _told(stop: asyncio.Event) -> str:
    """The line by which we are told when to begin. Raises StoppedError when there is none and we are to end.

    Who was told and then stopped has begun, and owes its last words: what was written before the signal is waited for.
    """
    line, stopped = asyncio.create_task(next_line()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({line, stopped}, return_when=asyncio.FIRST_COMPLETED)
        told = await asyncio.wait_for(line, None if line.done() else _ON_ITS_WAY_S)
    except TimeoutError:
        told = ""
    finally:
        stopped.cancel()
    if not told:
        raise StoppedError(BEFORE_LOAD)
    return told


def _moment_us(text: str) -> int:
    try:
        return int(text) if text.isdecimal() else parse_moment_us(text)
    except ValueError as error:
        raise SettingsError(f"--start-at: {error}") from error


async def _load(
    path: Path,
    settings: Settings,
    run_id: str,
    begins: int | Literal["-"] | None,
    shard: str,
    stop: asyncio.Event,
    watch: Watch,
    *,
    producer_id: str | None,
    opens: bool,
) -> bool:
    """Whether it was ended before its plan was through."""
    from loadflame.starting import ACKNOWLEDGE_S, LEAD_US, STOP_S, aligned, run_ended, run_started
    from loadflame.subscription import loads_ended
    from loadflame.topics import ensure_topics
    from producers.load.guard import check_target
    from producers.load.plan import load_plan
    from producers.load.runner import run_load
    from producers.load.settled import settled
    from producers.load.shards import parse_shard
    from producers.publisher import KafkaPublisher, health_of, say_last_words

    broker, security = broker_of(settings, "load"), security_of(settings)
    plan, part = load_plan(path), parse_shard(shard)
    start_at_us = None if begins == TOLD else begins
    about = settled(plan, start_at_us or time.time_ns() // 1000)  # as far as it can be told without Kafka's clock
    async with unless(stop):
        if begins != TOLD:
            await check_target(about, settings.allow_hosts, settings.max_tps)
        await ensure_topics(broker, settings.topics, security=security)
    topics, source = settings.topics, "loadflame/load"
    async with KafkaPublisher(
        broker, topics, run_id, source=source, security=security, producer_id=producer_id, spool=settings.spool
    ) as publisher:
        say_ready()
        if begins == TOLD:
            start_at_us = _moment_us(await _told(stop))
            if not stop.is_set():  # not before: what is to be loaded may have been started meanwhile
                await check_target(about, settings.allow_hosts, settings.max_tps)
        clock = publisher.clock
        start_us = start_at_us or aligned(clock.now_us() + LEAD_US, settings.window_us)
        plan = settled(plan, start_us)
        if opens:
            started = run_started(plan, settings, run_id, start_us)
            publisher.announce(started)
            typer.echo(f"run {run_id}\nengine {started.engine}: {started.engine_reason}", err=True)
        totals = await run_load(
            plan,
            publisher=publisher,
            run_id=run_id,
            start_at_us=start_us,
            window_us=settings.window_us,
            stop=stop,
            allow_hosts=settings.allow_hosts,
            shard=part,
            on_start=lambda course: watch.show(
                lambda: health_of(publisher.figures()), course.figures, publisher.figures
            ),
        )
        await say_last_words(publisher, run_id, "load", totals=totals, timeout_s=ACKNOWLEDGE_S)
        if opens:
            # The others began when we did; whoever is slower has as long as we had for what is under way and unsent.
            patience_s = plan.timeout_s + STOP_S
            heard = 1
            if not part.is_whole:
                heard = await loads_ended(
                    broker, topics, run_id, count=part.count, timeout_s=patience_s, security=security
                )
            ended_at_us = max(start_us, clock.now_us())
            # In the same publisher: while Kafka is away, the end waits on disk behind what it is the end of.
            publisher.announce(run_ended(run_id, ended_at_us, heard, part, aborted=stop.is_set()))
    return stop.is_set()
