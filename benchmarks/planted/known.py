"""Which kinds of finding exist: read off the analysis itself, so that no list here can be out of date."""

import ast
from collections.abc import Iterator
from pathlib import Path

import analysis

_ROOM = Path(analysis.__file__).parent


def known_kinds(room: Path = _ROOM) -> frozenset[str]:
    """The kinds with which a `Finding` is made anywhere in a folder of modules."""
    return frozenset(kind for path in sorted(room.rglob("*.py")) for kind in _kinds(ast.parse(path.read_text())))


def _kinds(module: ast.Module) -> Iterator[str]:
    texts = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for call in (node for node in ast.walk(module) if isinstance(node, ast.Call)):
        if getattr(call.func, "id", getattr(call.func, "attr", "")) != "Finding":
            continue
        by_name = [one.value for one in call.keywords if one.arg == "kind"]
        for given in (*call.args[:1], *by_name):
            named = texts.get(given.id, given) if isinstance(given, ast.Name) else given
            # A choice between two kinds is both of them.
            parts = (named.body, named.orelse) if isinstance(named, ast.IfExp) else (named,)
            for part in parts:
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value
