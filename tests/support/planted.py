"""A run of a planted service, as the campaign keeps it."""

from benchmarks.planted.results import Result, Task

BLANK = Result(
    task=Task("scan", 1),
    threads=False,
    at="2026-11-27T10:00:00+00:00",
    commit="abc",
    verdict="passed",
    why="",
    judged=True,
    blocks=16,
    busy=1.0,
    took_s=60.0,
    findings=(),
)
"""In which nothing was found."""
