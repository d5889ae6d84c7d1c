"""The generators that loadflame is measured beside, each asked for more than it can do; what was answered counts.

Every peer gives its loop's model and requests per second. A `rich` one sends requests that all differ, over TLS, and
checks every answer, as loadflame's own does.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.generator_services import Nginx

GENERATOR_CORE = 1
CONNECTIONS = 128
USERS = 50
TOOLS = Path(os.environ.get("LOADFLAME_BENCH_TOOLS", ".cache/bench-tools"))
MOST_TPS = 60_000
BY_BISECTION = "open, by bisection"

Peer = Callable[[Nginx, float], tuple[str, float]]


class AbsentError(Exception):
    """The tool is not installed."""


def program(name: str) -> str:
    """Where a peer is."""
    found = shutil.which(name, path=f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        raise AbsentError
    return found


def pinned(*command: str, **more: object) -> str:
    """Run on the generator's core and give its standard output."""
    done = subprocess.run(
        ["taskset", "-c", str(GENERATOR_CORE), *command], stdout=subprocess.PIPE, text=True, check=False, **more
    )
    return done.stdout


def _k6(target: Nginx, seconds: float, imports: str, body: str) -> tuple[str, float]:
    script = f"""
        import http from 'k6/http';
        {imports}
        export const options = {{ scenarios: {{ s: {{
          executor: 'constant-arrival-rate', rate: {MOST_TPS}, timeUnit: '1s', duration: '{seconds:.0f}s',
          preAllocatedVUs: {CONNECTIONS}, maxVUs: {CONNECTIONS} }} }} }};
        export default function () {{ {body} }}
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "s.js").write_text(script)
        summary = Path(folder) / "summary.json"
        environment = {"GOMAXPROCS": "1", "K6_NO_USAGE_REPORT": "true", "SSL_CERT_FILE": str(target.authority)}
        pinned(
            program("k6"),
            *("run", "--quiet", "--no-color", "--address", "", "--summary-export", str(summary), f"{folder}/s.js"),
            stderr=subprocess.DEVNULL,
            env=os.environ | environment,
        )
        metrics = json.loads(summary.read_text())["metrics"]
        assert metrics.get("checks", {"fails": 0})["fails"] == 0, "k6's checks fail"
        return "open", metrics["http_reqs"]["rate"]


def k6(target: Nginx, seconds: float) -> tuple[str, float]:
    """k6, constant arrival rate, bodies discarded."""
    return _k6(target, seconds, "", f"http.get('{target.url}', {{ responseType: 'none' }});")


def k6_rich(target: Nginx, seconds: float) -> tuple[str, float]:
    """k6, constant arrival rate, with checks."""
    body = """
        const colours = ['red', 'green', 'blue'], shops = ['north', 'south', 'east'];
        const random = (list) => list[Math.floor(Math.random() * list.length)];
        const url = '%sitems/' + exec.scenario.iterationInTest + '?session=' + crypto.randomUUID();
        const sent = JSON.stringify({ item: 1 + Math.floor(Math.random() * 1000), colour: random(colours) });
        const got = http.post(url, sent, { headers: { 'Content-Type': 'application/json', 'X-Shop': random(shops) } });
        check(got, {
          status: (r) => r.status === 200,
          header: (r) => r.headers['Content-Type'].includes('json'),
          total: (r) => r.json('total') >= 1,
        });
    """
    return _k6(target, seconds, "import { check } from 'k6'; import exec from 'k6/execution';", body % target.tls_url)


def vegeta(target: Nginx, seconds: float) -> tuple[str, float]:
    """vegeta, as fast as its workers can."""
    return "closed, as fast as it can", _vegeta(target, seconds, "-rate=0", f"-max-workers={CONNECTIONS}")


def vegeta_open(target: Nginx, seconds: float) -> tuple[str, float]:
    """At constant rates: the highest of which it gets 99.5% answered, to within 4%."""
    low, high = 0.0, float(MOST_TPS)
    while high - low > 0.04 * high:
        tps = (low + high) / 2
        answered = _vegeta(target, seconds, f"-rate={tps:.0f}", "-max-workers=4000")
        low, high = (tps, high) if answered >= 0.995 * tps else (low, tps)
    return BY_BISECTION, low


def _vegeta(target: Nginx, seconds: float, *flags: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        results = f"{folder}/results.bin"
        attack = ("attack", *flags, f"-duration={seconds:.0f}s", f"-output={results}")
        pinned(program("vegeta"), *attack, input=f"GET {target.url}\n", env=os.environ | {"GOMAXPROCS": "1"})
        report = json.loads(pinned(program("vegeta"), "report", "-type=json", results))
    return float(report["throughput"])


def _locust(url: str, seconds: float, body: str) -> tuple[str, float]:
    users = f"""
import random, uuid
from locust import FastHttpUser, constant, task
class User(FastHttpUser):
    wait_time = constant(0)
    @task
    def one(self):
{body}
"""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "locustfile.py"
        file.write_text(users)
        pinned(
            program("locust"),
            *(
                "-f",
                str(file),
                "--headless",
                "-u",
                str(USERS),
                "-r",
                str(USERS),
                "-t",
                f"{seconds:.0f}s",
                "-H",
                url.rstrip("/"),
            ),
            *("--csv", f"{folder}/out", "--only-summary"),
            stderr=subprocess.DEVNULL,
        )
        header, *rows = (line.split(",") for line in (Path(folder) / "out_stats.csv").read_text().splitlines())
        total = next(row for row in rows if row[header.index("Name")] == "Aggregated")
        assert int(total[header.index("Failure Count")]) == 0, "Locust's requests fail"
        return "closed", float(total[header.index("Requests/s")])


def locust(target: Nginx, seconds: float) -> tuple[str, float]:
    """Locust with FastHttpUser."""
    return _locust(target.url, seconds, '        self.client.get("/")')


def locust_rich(target: Nginx, seconds: float) -> tuple[str, float]:
    """Locust with FastHttpUser, which trusts any certificate; checks in the user's own code, as it has them."""
    body = """
        User.number = getattr(User, "number", 0) + 1
        sent = {"item": random.randint(1, 1000), "colour": random.choice(["red", "green", "blue"])}
        with self.client.post(
            f"/items/{User.number}?session={uuid.uuid4()}", json=sent, name="items", catch_response=True,
            headers={"X-Shop": random.choice(["north", "south", "east"])},
        ) as got:
            if got.status_code != 200 or "json" not in got.headers["Content-Type"] or got.json()["total"] < 1:
                got.failure("check")
"""
    return _locust(target.tls_url, seconds, body)


def wrk(target: Nginx, seconds: float) -> tuple[str, float]:
    """One thread of wrk."""
    said = pinned(program("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", target.url)
    match = re.search(r"Requests/sec:\s*([\d.]+)", said)
    assert match is not None, said
    return "closed", float(match[1])


STATIC: dict[str, Peer] = {"k6": k6, "vegeta": vegeta_open, "vegeta -rate=0": vegeta, "Locust": locust, "wrk": wrk}
RICH: dict[str, Peer] = {"k6": k6_rich, "Locust": locust_rich}
