"""Stacks as a tree of frames, in the form that the page draws and the saved file keeps."""

from dataclasses import dataclass, field

from views.stacks import RangeStacks
from views.web.answers import Flame
from views.web.frames import kind_of, package_of

ROOT = "all"


@dataclass(slots=True)
class Tree:
    """Frames in the order in which they were met: node 0 is the root, `key_of` finds a child by parent and label."""

    labels: dict[str, int] = field(default_factory=lambda: {ROOT: 0})
    parent: list[int] = field(default_factory=lambda: [-1])
    label: list[int] = field(default_factory=lambda: [0])
    child_of: dict[tuple[int, int], int] = field(default_factory=dict)

    def place(self, frames: tuple[str, ...]) -> int:
        """The node of a stack, made when it is new."""
        node = 0
        for name in frames:
            label = self.labels.setdefault(name, len(self.labels))
            child = self.child_of.get((node, label))
            if child is None:
                child = self.child_of[node, label] = len(self.parent)
                self.parent.append(node)
                self.label.append(label)
            node = child
        return node


def flame(found: RangeStacks) -> Flame:
    """The tree of a range."""
    tree = Tree()
    self_us = [0]
    samples = [0]
    for one in found.merged():
        node = tree.place(one.frames)
        grow = len(tree.parent) - len(self_us)
        self_us += [0] * grow
        samples += [0] * grow
        self_us[node] += one.cpu_us
        samples[node] += one.samples
    labels = tuple(tree.labels)
    return Flame(
        from_s=found.part.from_s,
        to_s=found.part.to_s,
        seconds=found.seconds,
        requests=found.requests,
        samples=found.samples,
        cpu_us=found.cpu_us,
        unattributed_us=found.unattributed_us,
        labels=labels,
        packages=tuple(map(package_of, labels)),
        kinds=tuple(map(kind_of, labels)),
        parent=tuple(tree.parent),
        label=tuple(tree.label),
        self_us=tuple(self_us),
        self_samples=tuple(samples),
    )
