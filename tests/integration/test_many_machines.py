"""The parts of a run as separate commands, as on many machines: they share a broker, a store and the run's id."""

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadflame.demo import sample_shop
from tests.support.brokers import Broker, new_topics
from tests.support.clickhouse_http import fake_clickhouse
from tests.support.commands import checks_of, environment_of, loadflame, report_of
from tests.support.polling import wait_until
from tests.support.roles import RoleProcess

pytestmark = [pytest.mark.broker, pytest.mark.slow]
RUN, TPS, SECONDS = "peak-1", 150, 3
STORED_S = 60.0
LEAD_US = 4_000_000
"""Time for two load processes to start."""


@dataclass(slots=True)
class Machines:
    """What they have in common, in `environment`; and how many workers there are."""

    folder: Path
    environment: dict[str, str]
    workers: int

    def role(self, *arguments: str, name: str = "") -> RoleProcess:
        """A role of a machine of its own."""
        log = self.folder / f"{name or arguments[0]}.log"
        return RoleProcess(arguments, environment_of(self.folder, **self.environment), log)

    def plan(self, url: str, **changes: object) -> str:
        """A plan file for the sample shop."""
        path = self.folder / "plan.yaml"
        plan = {
            "target": url,
            "service": "shop",
            "target_count_path": "/counts",
            "stages": [{"name": "hold", "hold": TPS, "for": f"{SECONDS}s"}],
            "requests": [{"name": "search", "path": "/search?q=tea"}],
        }
        path.write_text(yaml.safe_dump(plan | changes))
        return str(path)

    def report(self) -> dict[str, Any]:
        """What `loadflame report` says."""
        return report_of(self.folder, RUN, **self.environment)

    def verdict(self) -> str | None:
        """What `loadflame runs` says of the only run."""
        (run,) = json.loads(loadflame("runs", "--json", data_dir=self.folder, **self.environment).stdout)
        assert run["id"] == RUN
        return str(run["verdict"]) if run["verdict"] else None

    def checks(self) -> dict[str, bool | None]:
        """What `loadflame verify` says."""
        return checks_of(self.folder, RUN, **self.environment)


TANSU = pytest.param(("tansu", 1), id="tansu")
KAFKA = pytest.param(("kafka", 2), id="kafka with two workers")


@pytest.fixture
def machines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machines]:
    kind, workers = request.param
    broker: Broker = request.getfixturevalue(f"{kind}_broker")
    topics = new_topics(broker)
    with fake_clickhouse(f"{tmp_path}/server") as server:
        environment = {
            "LOADFLAME_BROKER": broker.bootstrap,
            "LOADFLAME_STORE": server.url(),
            "LOADFLAME_TOPIC_PREFIX": topics.prefix,
            "LOADFLAME_GROUP": topics.prefix,
        }
        yield Machines(tmp_path, environment, workers)


@pytest.mark.parametrize("machines", [KAFKA], indirect=True)
def test_workers_an_agent_and_a_load_make_one_run_that_is_judged_reported_and_closes(machines: Machines) -> None:
    machines.environment["LOADFLAME_FINDINGS"] = "1"  # a worker judges what no session does
    with ExitStack() as stack:
        url, pid = stack.enter_context(sample_shop())
        for number in range(machines.workers):
            stack.enter_context(machines.role("process", name=f"worker-{number}"))
        agent = stack.enter_context(machines.role("profile", "--run", RUN, "--pid", str(pid), "--service", "shop"))
        load = stack.enter_context(machines.role("load", machines.plan(url), "--open-run", RUN))
        load.end()
        counted = json.load(urllib.request.urlopen(f"{url}/counts"))["requests"]
        agent.interrupt()
        wait_until(lambda: machines.checks() == dict.fromkeys(("I0", "I1", "I2", "I3", "I4"), True), STORED_S, "all")
        report = machines.report()
        wait_until(lambda: machines.verdict() == report["run"]["verdict"], STORED_S, "the verdict, told by a worker")
    assert [check["name"] for check in machines.report()["checks"]] == ["I0", "I1", "I3"]
    accounting = report["accounting"]
    assert accounting["scheduled"] == accounting["sent"] == accounting["stored"] == counted == TPS * SECONDS
    assert accounting["completed"] + accounting["failed"] == counted
    assert accounting["dead_letters"] == 0
    assert report["run"]["id"] == RUN
    assert report["run"]["ended_at"]
    assert report["profile"]["coverage"] > 0.8
    # It stands in every sample; of a busy machine there may be a dozen that findings rest on.
    assert "BaseEventLoop.run_forever" in {function["function"] for function in report["functions"]}


@pytest.mark.parametrize("machines", [TANSU], indirect=True)
def test_two_hosts_share_a_load_of_which_the_first_opens_the_run(machines: Machines) -> None:
    with ExitStack() as stack:
        url, _ = stack.enter_context(sample_shop())
        stack.enter_context(machines.role("process", "--lone"))
        plan = machines.plan(url)
        start_at = int(time.time() * 1e6) + LEAD_US
        shared = ("--start-at", str(start_at), "--shard")
        hosts = [
            stack.enter_context(machines.role("load", plan, "--open-run", RUN, *shared, "1/2", name="load-1")),
            stack.enter_context(machines.role("load", plan, "--run", RUN, *shared, "2/2", name="load-2")),
        ]
        for host in hosts:
            host.end()
        wait_until(lambda: machines.checks()["I3"] is True, STORED_S, "both parts of the load")
        accounting = machines.report()["accounting"]
    assert accounting["scheduled"] == accounting["stored"] == TPS * SECONDS
