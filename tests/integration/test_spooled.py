"""A load whose Kafka goes away and does not come back in time: what it measured waits on disk, and loses nothing."""

import json
import os
import signal
from pathlib import Path

import pytest
import yaml

from tests.support.brokers import Broker, new_topics
from tests.support.commands import checks_of, environment_of, loadflame
from tests.support.polling import wait_until
from tests.support.roles import RoleProcess
from tests.support.target import running_target

pytestmark = [pytest.mark.broker, pytest.mark.slow]
RUN, TPS, SECONDS = "cut-off-1", 50, 8


def test_what_is_spooled_as_a_load_ends_is_listed_sent_later_and_counted_once(
    kafka_broker: Broker, tmp_path: Path
) -> None:
    topics = new_topics(kafka_broker)
    environment = {
        "LOADFLAME_BROKER": kafka_broker.bootstrap,
        "LOADFLAME_TOPIC_PREFIX": topics.prefix,
        "LOADFLAME_GROUP": topics.prefix,
    }
    with running_target() as target:
        plan = {
            "target": target.url,
            "target_count_path": "/counts",
            "stages": [{"name": "hold", "hold": TPS, "for": f"{SECONDS}s"}],
            "requests": [{"name": "ok", "path": "/ok"}],
        }
        (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
        arguments = ("load", str(tmp_path / "plan.yaml"), "--open-run", RUN)
        load = RoleProcess(arguments, environment_of(tmp_path, **environment), tmp_path / "load.log")
        try:
            with load:
                wait_until(lambda: target.requests > TPS, 60, "the load is on")
                os.kill(kafka_broker.pid, signal.SIGSTOP)
                wait_until(lambda: target.requests == TPS * SECONDS, 60, "the whole schedule, for all that Kafka does")
                load.end()
                told = load.log()
            (waits,) = json.loads(loadflame("spool", "--json", data_dir=tmp_path).stdout)
        finally:
            os.kill(kafka_broker.pid, signal.SIGCONT)
    assert "were not acknowledged by Kafka and wait on disk" in told
    assert (waits["runs"], waits["broker"], waits["in_use"]) == ([RUN], kafka_broker.bootstrap, False)
    assert 0 < waits["rows"] <= TPS * SECONDS

    sent = loadflame("spool", "send", data_dir=tmp_path, **environment)
    assert sent.returncode == 0, sent.stderr
    assert sent.stdout.startswith(f"{waits['name']}: {waits['batches']} batches ({waits['rows']} rows) delivered")
    assert list((tmp_path / "spool").iterdir()) == []

    worker = loadflame("process", "--drain", RUN, data_dir=tmp_path, **environment)
    assert worker.returncode == 0, worker.stderr
    assert checks_of(tmp_path, RUN, **environment) == dict.fromkeys(("I0", "I1", "I2", "I3", "I4"), True)
