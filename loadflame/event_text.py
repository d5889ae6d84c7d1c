"""Events as a line of text each: a mark, and a sentence. Colours mean what they mean in a report."""

from collections.abc import Callable

from rich.text import Text

from analysis.wording import count, tps
from loadflame.heard import Heard
from loadflame.live import finding_text, hottest
from loadflame.plain_text import plain
from schemas.events import (
    EventData,
    FindingMade,
    FindingsSettled,
    FindingWithdrawn,
    ProducerEnded,
    RunChecked,
    RunEnded,
    RunJudged,
    RunStarted,
    StageEntered,
    WindowJoined,
)

_VERDICTS = {"passed": "green", "failed": "red"}


def line_of(heard: Heard) -> Text:
    """Its time (UTC), its run, and what it says, without a letter that a terminal would obey."""
    text = Text(f"{_clock(heard)}  ", style="")
    text.append(f"{plain(heard.run_id) or '–'}  ", style="dim")
    if heard.kind == "dead-letters":
        return text.append_text(_letter(heard))
    if heard.trouble:
        return text.append(f"? an event that cannot be read: {plain(heard.trouble)}", style="yellow")
    if heard.event is None:
        return text.append(f"· {plain(heard.header('ce_type'))}, which this version does not know", style="dim")
    return text.append_text(_SAYS[type(heard.event)](heard.event))


def _clock(heard: Heard) -> str:
    if heard.kind == "dead-letters":
        return "--:--:--"
    return plain(heard.header("ce_time")[11:19]) or "--:--:--"


def _letter(heard: Heard) -> Text:
    why = plain(heard.header("error"))
    return Text(f"✘ dead letter {plain(heard.id)}: {why}", style="red")


def _withdrawn(event: FindingWithdrawn) -> Text:
    return Text(f"✕ {plain(event.summary)}", style="dim")


def _settled(event: FindingsSettled) -> Text:
    return Text(f"● that is all: {count(len(event.findings), 'finding')}, and all of the run is stored", style="bold")


def _started(event: RunStarted) -> Text:
    return Text(f"▶ a run of {plain(event.service)} at {plain(event.target)} begins ({event.engine})", style="bold")


def _entered(event: StageEntered) -> Text:
    rates = [tps(event.rate_from_tps), tps(event.rate_to_tps)]
    rate = rates[0] if rates[0] == rates[1] else " to ".join(rates)
    seconds = (event.ends_at_us - event.starts_at_us) / 1e6
    return Text(f"→ {plain(event.label)}: {rate} TPS for {seconds:g} s", style="cyan")


def _producer(event: ProducerEnded) -> Text:
    lost = event.rows_lost
    text = f"· {event.role} ended: {count(event.rows_acknowledged, 'row')} acknowledged"
    return Text(f"{text}, {count(lost, 'row')} lost" if lost else text, style="red" if lost or event.died else "dim")


def _ended(event: RunEnded) -> Text:
    note = f"; {plain(event.note)}" if event.note else ""
    return Text(f"■ the run ended: {event.reason}{note}", style="bold" if event.reason == "finished" else "bold yellow")


def _checked(event: RunChecked) -> Text:
    broken = [check for check in event.checks if check.ok is False]
    if not broken:
        return Text("✔ every outcome is accounted for", style="green")
    return Text("; ".join(plain(f"{check.name} does not hold: {check.sentence}") for check in broken), style="red")


def _judged(event: RunJudged) -> Text:
    return Text(f"the verdict: {event.verdict}", style=f"bold {_VERDICTS.get(event.verdict, 'yellow')}")


def _window(event: WindowJoined) -> Text:
    p99 = "" if event.p99_ms is None else f", p99 {event.p99_ms:.1f} ms"
    hot = "".join(f", hottest {plain(name)} {share:.0%}" for name, share in hottest(event, 1))
    text = Text(f"window {event.window}: offered {tps(event.offered_tps)} TPS, ended {tps(event.tps)}{p99}{hot}")
    if bad := event.failed + event.dropped:
        text.append(f", {bad:,} failed or dropped", style="red")
    return text


_SAYS: dict[type[EventData], Callable[..., Text]] = {
    FindingMade: finding_text,
    FindingWithdrawn: _withdrawn,
    FindingsSettled: _settled,
    RunStarted: _started,
    StageEntered: _entered,
    ProducerEnded: _producer,
    RunEnded: _ended,
    RunChecked: _checked,
    RunJudged: _judged,
    WindowJoined: _window,
}
