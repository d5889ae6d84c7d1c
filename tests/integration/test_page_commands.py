"""`loadflame serve` and the files of `loadflame report`, as a user has them: processes of their own."""

import gzip
import json
import re
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import pytest

from sinks.clickhouse import open_store
from tests.support.commands import environment_of, loadflame
from tests.support.polling import wait_until
from tests.support.roles import RoleProcess
from tests.support.synthetic import Synthetic, levels
from tests.support.watching import address_in, health_at, metrics_at


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    with closing(open_store(f"chdb://{folder}/store")) as store:
        Synthetic(stages=levels(visits=3, seconds=3)).write(store)
    return folder


def test_serve_shows_the_page_and_says_where(data_dir: Path, tmp_path: Path) -> None:
    command = ["serve", "--port", "0", "--clickhouse-port", "0", "--watch-port", "0"]
    with RoleProcess(command, environment_of(data_dir), tmp_path / "serve.log") as serve:
        watched = address_in(tmp_path / "serve.log")
        assert health_at(watched)[:2] == (200, "idle")
        found = re.search(r"The page: (http://127\.0\.0\.1:\d+)", serve.log())
        assert found, serve.log()
        with urlopen(f"{found[1]}/") as page:
            assert b"static/main.js" in page.read()
        with urlopen(f"{found[1]}/api/runs") as runs:
            assert [run["id"] for run in json.load(runs)["runs"]] == ["run-1"]
        # Whoever is answered knows it before it is counted.
        wait_until(
            lambda: metrics_at(watched)["gateway_answer_seconds_count"] >= 1, 60, "that the page reads through it"
        )
        assert metrics_at(watched)["page_answer_seconds_count"] == 1
        # Whoever has the page open does not keep others from the store.
        other = loadflame("runs", "--json", data_dir=data_dir)
        assert json.loads(other.stdout)[0]["id"] == "run-1", other.stderr
        serve.interrupt()


def test_stacks_of_any_range_are_written_for_other_viewers(data_dir: Path, tmp_path: Path) -> None:
    names = {"--folded": "a.folded", "--speedscope": "a.json", "--pprof": "a.pb.gz"}
    options = [text for option, name in names.items() for text in (option, str(tmp_path / name))]
    done = loadflame("report", *options, "--from", "3", "--to", "6s", data_dir=data_dir)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / name) for name in names.values()]
    lines = (tmp_path / "a.folded").read_text().splitlines()
    total_us = sum(int(line.rpartition(" ")[2]) for line in lines)
    assert any("sweep (shop.py) " in line for line in lines)
    assert json.loads((tmp_path / "a.json").read_text())["profiles"][0]["endValue"] == total_us
    assert gzip.decompress((tmp_path / "a.pb.gz").read_bytes()).count(b"sweep") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(["--from", "3"], "name a file by --folded, --speedscope or --pprof", id="a range of nothing"),
        pytest.param(["--folded", "x", "--from", "300"], "its windows go from 0 to 36 s", id="after the run"),
        pytest.param(["--folded", "x", "--to", "noon"], "'noon' is no time", id="no time"),
    ],
)
def test_a_range_that_cannot_be_is_refused(data_dir: Path, tmp_path: Path, options: list[str], words: str) -> None:
    done = loadflame("report", *(str(tmp_path / one) if one == "x" else one for one in options), data_dir=data_dir)
    assert done.returncode == 2
    assert words in done.stderr
    assert not (tmp_path / "x").exists()


def test_the_report_as_a_file_names_no_other_host(data_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.html"
    done = loadflame("report", "--html", str(path), "--json", data_dir=data_dir)
    assert json.loads(done.stdout)["run"]["id"] == "run-1", done.stderr
    text = path.read_text()
    assert not re.search(r'(?:src|href)="(?!data:)[^"]', text)
    assert "default-src 'none'" in text
    kept = re.search(r'<script type="application/json" id="loadflame-data">(.*?)</script>', text)
    assert kept
    told = json.loads(kept[1])
    assert told["head"]["id"] == "run-1"
    assert told["report"]["findings"] == json.loads(done.stdout)["findings"]
    cpu_us = sum(us for node in told["flame"]["cells"] for _, us, _ in node)
    assert cpu_us == pytest.approx(sum(told["series"]["cpu_us"]), rel=1e-4)
