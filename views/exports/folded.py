"""Folded stacks, as Brendan Gregg's FlameGraph tools and most viewers read them: `root;caller;leaf 1234`.

The number is CPU in microseconds. The format has no escape, so a `;` inside a frame becomes `:`, and line ends spaces.
"""

from views.stacks import RangeStacks


def folded(found: RangeStacks) -> str:
    """A line a stack, in order of the stacks; what comes to no whole microsecond is left out."""
    lines = []
    for one in found.merged():
        frames = (" ".join(frame.split()).replace(";", ":") for frame in one.frames)
        if one.cpu_us:
            lines.append(f"{';'.join(frames)} {one.cpu_us}\n")
    return "".join(sorted(lines))
