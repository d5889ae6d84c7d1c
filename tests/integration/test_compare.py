"""`loadflame compare` end to end: two commands started in turns, loaded, profiled and compared."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks.serving import free_port
from tests.support.commands import loadflame

pytestmark = [pytest.mark.broker, pytest.mark.slow]

SERVICE = """
import http.server, sys
def price_basket():
    return sum(number * number for number in range(int(sys.argv[2])))
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        text = str(price_basket()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_two_commands_are_started_in_turns_and_compared_and_one_run_a_side_is_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "a service.py").write_text(SERVICE)
    port = free_port()
    stages = [{"name": "hold", "hold": 60, "for": "2s"}]
    requests = [{"name": "basket", "path": "/"}]
    plan = {"target": f"http://127.0.0.1:{port}", "service": "basket", "stages": stages, "requests": requests}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    command = f"{sys.executable} '{tmp_path}/a service.py' {port}"
    sides = ("--a", f"{command} 20000", "--b", f"{command} 60000")
    arguments = (str(tmp_path / "plan.yaml"), *sides, "--restarts", "1", "--fail-on", "regression", "--json")
    done = loadflame("compare", *arguments, data_dir=tmp_path / "data")
    assert done.returncode == 3, done.stderr
    told = json.loads(done.stdout)
    assert (told["service"], told["outcome"]) == ("basket", "unclear")
    assert [one["level"] for one in told["levels"]] == ["hold"]
    listed = [run["id"] for run in json.loads(loadflame("runs", "--json", data_dir=tmp_path / "data").stdout)]
    assert [*told["new"]["runs"], *told["base"]["runs"]] == listed, "they stay in the store"
    assert "run 1 of 2, A (base): " in done.stderr
    assert "run 2 of 2, B (new): " in done.stderr
    again = done.stderr.strip().splitlines()[-1].removeprefix("again: loadflame ").split()
    assert json.loads(loadflame(*again, "--json", data_dir=tmp_path / "data").stdout) == told
    if told["comparable"]:  # on a busy machine a side may be limited by the host, and then nothing is compared
        basket = next(one for one in told["functions"] if one["function"] == "price_basket")
        assert 1.5 < basket["total_us"]["ratio"] < 6
