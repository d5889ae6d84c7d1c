"""What a function calls, by the stacks that it is on."""

from collections.abc import Iterable, Sequence


def shares_of_callees(stacks: Iterable[tuple[Sequence[str], float]], function: str) -> dict[str, float]:
    """Of a function's samples the share (0 to 1) of each function that it called directly, the greatest first.

    `stacks` are labels, root first, with their samples. Its own code stands under its own label, and a recursive call
    counts as what the innermost one did. Empty when it is on no stack.
    """
    found: dict[str, float] = {}
    for labels, samples in stacks:
        if function in labels:
            last = len(labels) - 1 - list(reversed(labels)).index(function)
            callee = labels[min(last + 1, len(labels) - 1)]
            found[callee] = found.get(callee, 0.0) + samples
    total = sum(found.values())
    return {label: found[label] / total for label in sorted(found, key=lambda label: -found[label])} if total else {}
