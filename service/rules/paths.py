"""Paths: how the fields of patterns are found in a message.

A path is the keys from the top joined by dots, so the key `a.b` and the key `b` inside `a` are the same
place, in a pattern as in a message. Keys are plain text; none has a special meaning.
"""

from collections.abc import Iterable

Path = str


class PathNode:
    """A place in messages that patterns look at, or pass through.

    `slot` numbers the places that are tested (-1: only passed through); `below` has a bit for every slot
    here and further down. `children` leads, by key, to *every* tested place below and every place on the
    way there: the key `b.c` leads from `a` to where `b` and then `c` leads.
    """

    __slots__ = ("below", "children", "slot")

    def __init__(self) -> None:
        self.slot = -1
        self.below = 0
        self.children: dict[str, PathNode] = {}


def path_tree(paths: Iterable[Path]) -> PathNode:
    """Return the root of the tree of `paths`; the slots are their numbers in the order given."""
    root = PathNode()
    for slot, path in enumerate(paths):
        steps = path.split(".")
        nodes = [root]
        for step in steps:
            nodes.append(nodes[-1].children.setdefault(step, PathNode()))
        for start, node in enumerate(nodes):
            node.below |= 1 << slot
            for end in range(start + 2, len(nodes)):
                node.children.setdefault(".".join(steps[start:end]), nodes[end])
        nodes[-1].slot = slot
    return root
