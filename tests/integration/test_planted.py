"""Planted defects: three in a real run of twelve seconds, through `loadflame run`; the others in services that run."""

import json
from pathlib import Path
from urllib.request import urlopen

import pytest

from benchmarks.planted.bundles import BUNDLES, Design
from benchmarks.planted.drawn import draw
from benchmarks.planted.figures import accused
from benchmarks.planted.playing import Campaign
from benchmarks.planted.results import Task
from benchmarks.planted.serving import serving

SEED = next(
    seed
    for seed in range(100)
    if any((plant.kind, plant.effect) == ("superlinear", 2.0) for plant in draw("scan", seed).plants)
)
THREADED = next(seed for seed in range(1, 100) if draw("tail", seed).threads)
SHORT = Design(
    levels_tps=(40, 80, 160),
    visits=2,
    each_s=1.5,
    settle_s=0.5,
    mix_visits=2,
)


@pytest.mark.alone
@pytest.mark.broker
@pytest.mark.slow
def test_a_service_with_defects_is_drawn_and_run(tmp_path: Path) -> None:
    """Whether so short a run on a busy machine finds them is chance, and the campaign's affair. Nobody else is accused;
    and if the run may be judged, the interval of what grows does not exclude the truth far away.
    """
    (result,) = Campaign(SHORT, "here", visits=tmp_path, keep=tmp_path).play([Task("scan", SEED)])
    seen = {one.plant.kind: one for one in result.seen}
    assert set(seen) == {"superlinear", "linear", "endpoint"}
    assert all(one.samples > 0 for one in result.seen)
    assert accused(result) == ()
    growth = seen["superlinear"].growth
    if result.judged and growth is not None:
        assert growth[2] > 1.2, result


@pytest.mark.parametrize("bundle", BUNDLES)
def test_one_of_each_service_stands_by_itself_and_answers_with_its_defects(bundle: str, tmp_path: Path) -> None:
    drawn = draw(bundle, THREADED)
    with serving(drawn, tmp_path / "service", without=(), design=SHORT) as (url, _):
        for endpoint in drawn.endpoints:
            assert list(_answer(f"{url}/{endpoint.path}?key=tea")) == list(endpoint.calls)
        assert _answer(f"{url}/counts") == {"requests": len(drawn.endpoints)}


def _answer(url: str) -> dict[str, object]:
    with urlopen(url, timeout=60) as answer:
        return dict(json.load(answer))
