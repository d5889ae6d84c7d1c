"""The processes of a run: ready, ended in order, and their own words when they fail."""

import sys
from pathlib import Path

import pytest

from loadflame.children import Child, ChildError


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Start a Python text in place of a role."""

    async def start(text: str) -> Child:
        script = tmp_path / "python"
        head = "import sys, signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)"
        script.write_text(f"#!{sys.executable}\n{head}\n{text}\n")
        script.chmod(0o755)
        monkeypatch.setattr("loadflame.children.sys.executable", str(script))
        return await Child.start("role", [], {}, tmp_path / "log" / "role.log")

    return start


async def test_a_role_is_ready_when_it_says_so_and_ends_when_interrupted(program) -> None:
    child = await program("try:\n print('ready', flush=True)\n time.sleep(60)\nexcept KeyboardInterrupt: pass")
    await child.ready(10)
    assert child.running
    await child.finish(10)
    assert not child.running


async def test_the_sentence_of_a_role_that_fails_is_the_error(program) -> None:
    child = await program("print('loadflame: no such plan; write one', file=sys.stderr); sys.exit(2)")
    with pytest.raises(ChildError, match=r"^no such plan; write one$"):
        await child.ready(10)
    with pytest.raises(ChildError, match="no such plan"):
        await child.wait()


async def test_a_role_that_fails_without_a_sentence_is_quoted_with_its_log(program) -> None:
    child = await program("raise RuntimeError('boom')")
    with pytest.raises(ChildError, match=r"role ended with code 1; it last said: RuntimeError: boom \(log: .*role.log"):
        await child.wait()


async def test_a_role_that_does_not_end_is_killed_and_reported(program) -> None:
    child = await program("signal.signal(signal.SIGINT, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)")
    await child.ready(10)
    with pytest.raises(ChildError, match="did not end"):
        await child.finish(0.2)
    assert not child.running


async def test_waiting_twice_is_allowed(program) -> None:
    child = await program("pass")
    await child.wait()
    await child.wait()


async def test_a_file_of_the_users_folder_does_not_stand_in_for_a_room_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schemas.py").write_text("raise SystemExit('not this one')\n")
    child = await Child.start("load", ["--help"], {}, tmp_path / "log" / "load.log")
    await child.wait()
