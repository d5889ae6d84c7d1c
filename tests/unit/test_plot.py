"""The picture of a soak: well-formed, to scale, and with nothing drawn that is not known."""

import math
import xml.etree.ElementTree as ET

import pytest

from benchmarks.plot import Panel, nice_step, svg

SVG = "{http://www.w3.org/2000/svg}"


def lines_of(picture: str) -> list[list[tuple[float, float]]]:
    root = ET.fromstring(picture)
    points = [line.get("points") or "" for line in root.iter(f"{SVG}polyline")]
    return [[tuple(map(float, point.split(","))) for point in line.split()] for line in points]


def test_the_picture_is_xml_whatever_the_names() -> None:
    picture = svg("a & b <script>", [Panel('"quoted" <x>', {"<y> & z": ([0, 1], [1, 2])})])
    texts = [text.text for text in ET.fromstring(picture).iter(f"{SVG}text")]
    assert {"a & b <script>", '"quoted" <x>', "<y> & z: 2"} <= set(texts)


def test_greater_values_stand_higher_and_later_ones_further_right() -> None:
    ((first, second, third),) = lines_of(svg("t", [Panel("p", {"a": ([0, 5, 10], [1, 3, 2])})]))
    assert first[0] < second[0] < third[0]
    assert second[1] < third[1] < first[1]
    assert second[0] - first[0] == pytest.approx(third[0] - second[0])


def test_what_is_no_number_is_left_out_and_nothing_at_all_is_said() -> None:
    picture = svg("t", [Panel("p", {"a": ([0, 1, 2], [1, math.nan, 3]), "b": ([], [])}, limit=2.0)])
    known, nothing = lines_of(picture)
    assert (len(known), nothing) == (2, [])
    assert "b: nothing" in picture
    assert "nan" not in picture


@pytest.mark.parametrize(("span", "step"), [(1.0, 0.2), (9.0, 2.0), (10.0, 2.0), (600.0, 200.0), (0.003, 0.001)])
def test_axes_have_round_steps(span: float, step: float) -> None:
    assert nice_step(span) == pytest.approx(step)
