"""What a command line can end in, as one sentence."""

import errno
import os

import pytest

from loadflame import cli


def test_a_disk_that_fills_up_is_a_sentence_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as a write fails: without the name of the file

    full.info = cli.app.info  # type: ignore[attr-defined]
    monkeypatch.setattr(cli, "app", full)
    monkeypatch.setattr(cli, "stop_by_ctrl_c", lambda: None)
    monkeypatch.setattr(cli, "configure_logs", lambda: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "loadflame: No space left on device; make room, or name another place\n"
