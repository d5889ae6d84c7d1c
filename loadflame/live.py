"""What is seen while a run is on: a live panel on a terminal, plain lines elsewhere."""

from collections import deque
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loadflame.plain_text import plain
from schemas.events import FindingMade, WindowJoined
from views.marks import FINDINGS, OTHER

_BLOCKS = " ▁▂▃▄▅▆▇█"
_KEPT = 60
PLAIN_EVERY_WINDOWS = 5


class Display(Protocol):
    """Hears of a run. All methods return at once; usable as a context manager around the run."""

    def phase(self, text: str) -> None:
        """What is going on, in a few words."""

    def window(self, window: WindowJoined) -> None:
        """A joined window; they may come out of order, and again after a late batch."""

    def finding(self, finding: FindingMade) -> None:
        """What is found so far, in a sentence; said again when that changes."""

    def page(self, url: str) -> None:
        """Where the run can be looked at meanwhile."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Leave the screen as it should stay."""


def display_on(console: Console, *, duration_s: float) -> Display:
    """The display that fits the console; `duration_s` is how long the load is to last."""
    return LivePanel(console, duration_s) if console.is_terminal else PlainLines(console, duration_s)


def hottest(window: WindowJoined, count: int) -> list[tuple[str, float]]:
    """The functions with the most CPU of their own in a window, with their share (0 to 1) of the service's CPU."""
    if not window.cpu_us:
        return []
    functions = sorted(window.functions, key=lambda function: -function.self_cpu_us)[:count]
    return [(f"{function.function} ({function.file})", function.self_cpu_us / window.cpu_us) for function in functions]


def finding_text(finding: FindingMade) -> Text:
    """A finding as a line, marked as in the report."""
    style, mark = FINDINGS.get(finding.kind, OTHER)
    again = "" if finding.revision == 1 else f"(revision {finding.revision}) "
    return Text.assemble((f"{mark} ", style), (again, "dim"), (plain(finding.summary), style))


class PlainLines:
    """A line at each change of stage and every few windows: for logs and pipes."""

    def __init__(self, console: Console, duration_s: float) -> None:
        self._console = console
        self._duration_s = duration_s
        self._first: int | None = None
        self._stage = ""
        self._lines_at = -PLAIN_EVERY_WINDOWS

    def phase(self, text: str) -> None:
        """See Display."""
        self._console.print(f"· {text}", highlight=False, markup=False)

    def window(self, window: WindowJoined) -> None:
        """See Display."""
        if not window.stages:
            return  # the profiler is up before the load, and after it
        self._first = window.window if self._first is None else min(self._first, window.window)
        stage = ", ".join(window.stages)
        since = window.window - self._first
        if stage == self._stage and since < self._lines_at + PLAIN_EVERY_WINDOWS:
            return
        self._stage, self._lines_at = stage, since
        hot = "".join(f", hottest {name} {share:.0%}" for name, share in hottest(window, 1))
        p99 = "" if window.p99_ms is None else f", p99 {window.p99_ms:.1f} ms"
        elapsed_s = since * window.window_us / 1e6
        line = f"  {elapsed_s:4.0f} of {self._duration_s:.0f} s  {stage}: offered {window.offered_tps:.0f} TPS,"
        line += f" achieved {window.tps:.0f}{p99}{hot}"
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def finding(self, finding: FindingMade) -> None:
        """See Display."""
        self._console.print(Text("  ").append_text(finding_text(finding)), highlight=False, soft_wrap=True)

    def page(self, url: str) -> None:
        """See Display."""
        self._console.print(f"· the page: {url}", highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        """See Display."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """See Display."""


class LivePanel:
    """The newest window in figures, the last minute as a spark line, the hottest functions as bars."""

    def __init__(self, console: Console, duration_s: float) -> None:
        self._duration_s = duration_s
        self._phase = "starting"
        self._windows: deque[WindowJoined] = deque(maxlen=_KEPT)
        self._first: int | None = None
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4, transient=True)

    def phase(self, text: str) -> None:
        """See Display."""
        self._phase = text

    def window(self, window: WindowJoined) -> None:
        """See Display."""
        if not window.stages:
            return  # the profiler is up before the load, and after it
        self._first = window.window if self._first is None else min(self._first, window.window)
        if not self._windows or window.window > self._windows[-1].window:
            self._windows.append(window)

    def finding(self, finding: FindingMade) -> None:
        """See Display. It stays on the screen, above the panel."""
        self._live.console.print(finding_text(finding), highlight=False, soft_wrap=True)

    def page(self, url: str) -> None:
        """See Display. It stays on the screen, above the panel."""
        self._live.console.print(f"[dim]the page:[/] [link={url}]{url}[/link]", highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        """See Display."""
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """See Display."""
        self._live.stop()

    def _render(self) -> RenderableType:
        if not self._windows or self._first is None:
            return Panel(Text(f"{self._phase} …"), title="loadflame", border_style="cyan")
        last = self._windows[-1]
        elapsed_s = (last.window + 1 - self._first) * last.window_us / 1e6
        head = Table.grid(padding=(0, 2), expand=True)
        head.add_column()
        head.add_column(ratio=1)
        stage = ", ".join(last.stages) or self._phase
        head.add_row(Text(stage, style="bold cyan"), ProgressBar(total=self._duration_s, completed=elapsed_s))
        figures = Table.grid(padding=(0, 3))
        for _ in range(5):
            figures.add_column()
        figures.add_row(
            Text(f"offered {last.offered_tps:.0f} TPS"),
            Text(f"achieved {last.tps:.0f} TPS", style="bold"),
            Text("p99 –" if last.p99_ms is None else f"p99 {last.p99_ms:.1f} ms"),
            Text(f"failed {last.failed}", style="red" if last.failed else "dim"),
            Text("no profile" if last.cpu_us is None else f"CPU {last.cpu_us / last.window_us:.2f} cores"),
        )
        spark = Text(f"TPS {_spark([window.tps for window in self._windows])}", style="green")
        bars = Table.grid(padding=(0, 1))
        for name, share in hottest(last, 4):
            bar = Text("█" * max(1, round(share * 30)), style="red" if share > 0.3 else "yellow")
            bars.add_row(Text(f"{share:4.0%}"), bar, Text(name))
        clock = f"{elapsed_s:.0f} of {self._duration_s:.0f} s · Ctrl-C ends it and keeps what was measured"
        return Panel(Group(head, figures, spark, bars), title="loadflame", subtitle=clock, border_style="cyan")


def _spark(values: list[float]) -> str:
    top = max([*values, 1.0])
    return "".join(_BLOCKS[round(value / top * (len(_BLOCKS) - 1))] for value in values)
