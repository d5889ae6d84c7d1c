"""Rules of the house that no linter knows."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("schemas", "producers", "processors", "sinks", "analysis", "views", "loadflame")
MODULES = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]


def test_no_module_hides_more_than_four_hundred_lines() -> None:
    long = {path.name for path in MODULES if len(path.read_text().splitlines()) > 400}
    assert long - {"loadflame_middleware.py"} == set()  # one file, for services to copy


def test_nothing_is_pickled_and_no_shell_is_asked() -> None:
    for path in MODULES:
        text = path.read_text()
        assert "pickle" not in text, path
        assert "shell=True" not in text, path


@pytest.mark.parametrize("name", ["run.txt", "dev.txt"])
def test_every_pin_has_a_hash_and_names_no_index(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    pins = [line for line in text.splitlines() if "==" in line]
    assert pins
    assert all(line.endswith("\\") for line in pins)


KAFKA_CLIENTS = {"AIOKafkaProducer", "AIOKafkaConsumer", "AIOKafkaAdminClient", "create_conn"}


def test_every_kafka_client_is_told_how_kafka_lets_it_in() -> None:
    """What takes `security` is given it at every call, down to the client itself: a plain one would be cut off."""
    trees = {path: ast.parse(path.read_text()) for path in MODULES if path.parent.name != "schemas"}
    mine = {path: set(_takers_of_security(tree)) for path, tree in trees.items()}
    takers = {name for names in mine.values() for name in names if not name.startswith("_")}
    assert {"KafkaPublisher", "ensure_topics", "StreamApp", "WorkerConfig", "Topic", "events_of"} <= takers
    clients = 0
    for path, tree in trees.items():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            said = f"{path.name}:{call.lineno} {name}"
            if name in KAFKA_CLIENTS:
                clients += 1
                assert any("client_options" in ast.unparse(one.value) for one in call.keywords if one.arg is None), said
            if name in takers | mine[path] and isinstance(call.func, ast.Name):
                given = [one for one in call.args if ast.unparse(one).rpartition(".")[2] == "security"]
                assert given or "security" in {one.arg for one in call.keywords}, said
    assert clients >= 6


def _takers_of_security(tree: ast.AST) -> Iterator[str]:
    """Functions and classes with a parameter or field of that name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _takes_security(node):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            inits = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
            fields = [ast.unparse(one.target) for one in node.body if isinstance(one, ast.AnnAssign)]
            if "security" in fields or any(_takes_security(one) for one in inits):
                yield node.name


def _takes_security(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return "security" in {one.arg for one in (*node.args.args, *node.args.kwonlyargs)}


def test_no_room_imports_outside_its_extra() -> None:
    """A load host has no store and a profiler host no aiohttp: their commands must import without them."""
    blocked = "import sys; sys.modules.update(dict.fromkeys({!r}))\n"
    heavy = ("clickhouse_connect", "chdb", "faust", "scipy", "prometheus_client")
    cases = {
        heavy: "import producers.load.runner, producers.publisher",
        (*heavy, "aiohttp"): "import producers.profiler.agent, loadflame.heard",
        (*heavy, "aiohttp", "aiokafka"): "import loadflame.cli",  # a tenth of a second, which a report need not pay
        (*heavy, "aiohttp", "psutil"): "import loadflame.heard, loadflame.event_text",
    }
    for missing, statement in cases.items():
        done = subprocess.run(
            [sys.executable, "-c", blocked.format(missing) + statement],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_a_producer_starts_without_pandas() -> None:
    """Arrow looks for it whenever it is given a list, which takes 0.3 s and 50 MB of a load's host."""
    statement = (
        "import sys, schemas.ticks as t; t.tick('requests', 4); t.tick('stacks', 4); sys.exit('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", statement], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
