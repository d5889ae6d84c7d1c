"""Who pays for which function, as it is seen on the threads of real services, beside what the functions say."""

from pathlib import Path

import pytest

from benchmarks.serving import free_port
from tests.support.commands import checks_in
from tests.support.paying_services import NAMES, ask, difference, paying, truth
from tests.support.running import observe_while

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.alone]


@pytest.mark.parametrize("kind", ["threads", "handed on"])
def test_each_function_is_paid_for_by_the_endpoint_that_calls_it(kind: str, tmp_path: Path) -> None:
    told = tmp_path / "told"
    tmp_path.chmod(0o700)
    with paying(kind, tmp_path, told, free_port()) as (url, pid):

        def traffic() -> dict[str, float]:
            before = truth(url)
            ask(url, 20, tps=60)
            return difference(truth(url), before)

        watched = ("--socket", str(told), "--pid", str(pid), "--service", "shop", "--run", "seen")
        report, true_us = observe_while(traffic, *watched, folder=tmp_path)
    assert all(ok is not False for ok in checks_in(report).values())
    assert report["endpoints_note"].startswith("Costs by endpoint are as seen: ")
    costs = {
        (one["function"], cost["endpoint"]): cost
        for one in report["functions"]
        if one["function"] in ("rank", "sign", "render")
        for cost in one["endpoints"]
    }
    search, checkout = NAMES[kind], "GET /checkout"
    # Of what one endpoint alone calls, hardly a sample is taken for the other's: one may be printed late.
    assert costs["rank", search]["share"] > 0.9
    assert costs["sign", checkout]["share"] > 0.9
    mine = {name for name, cost in costs.items() if name[0] != "render" and cost["share"] > 0.1}
    assert mine == {("rank", search), ("sign", checkout)}
    # Of some dozen samples, on a machine that does other things, beside the clocks of the functions' own threads.
    for found, true in (("rank", search), "rank search"), (("sign", checkout), "sign checkout"):
        assert 0.7 * costs[found]["us_low"] < true_us[true] < 1.3 * costs[found]["us_high"]
    assert {name for function, name in costs if function == "render"} == {search, checkout}
