"""What a run needs of its surroundings, looked at before anything is started, sent or made."""

import asyncio
import contextlib
import os

from loadflame.broker import embedded_binary
from loadflame.kafka_access import security_of
from loadflame.settings import Settings, SettingsError
from loadflame.topics import check_broker
from loadflame.watching import check_ports
from producers.load.guard import TargetError, TargetRefusedError, check_target
from producers.load.plan import Plan
from schemas.events import RunStarted
from sinks.clickhouse import check_store, open_store


async def check_surroundings(settings: Settings, processes: int = 1) -> None:
    """Raise UserError unless the data folder, the broker and the store of the settings are to be had.

    So are the ports on which so many processes are to be watched, if they are.
    """
    _check_folder(settings)
    check_ports(settings, processes)
    security = security_of(settings)
    if settings.broker is None:
        embedded_binary()
    else:
        await check_broker(settings.broker, settings.topics, security=security)
    await asyncio.to_thread(check_store, settings.store_url)


async def check_service(plan: Plan, settings: Settings, *, is_started: bool) -> None:
    """Raise UserError unless the target may be loaded and answers; one that the run itself starts must not answer yet.

    The plan is a settled one.
    What answers there already would be loaded in its place: the command ends, for its port is taken.
    """
    if not is_started:
        await check_target(plan, settings.allow_hosts, settings.max_tps)
        return
    try:
        alone = plan.model_copy(update={"target_count_path": None})
        await check_target(alone, settings.allow_hosts, settings.max_tps)
    except TargetRefusedError:
        return
    raise TargetError(
        f"port taken: something answers at {plan.target} already, where the command is to listen; end that first, "
        "or name it with --pid and start no command"
    )


def refuse_second_load(settings: Settings, run_id: str) -> None:
    """Raise SettingsError for a run that has its requests: each import is a producer of its own, and would count twice.

    Blocks.
    """
    with contextlib.closing(open_store(settings.store_url)) as store:
        known = any(isinstance(event, RunStarted) for event in store.read_events(run_id))
    if known:
        raise SettingsError(f"run {run_id} has its requests already; give another --run")


def _check_folder(settings: Settings) -> None:
    folder = settings.data_dir
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise SettingsError(f"the data folder {folder} cannot be written ({there}); name another one with --data-dir")
