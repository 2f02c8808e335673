"""The error tree: the drawing at the top of the module is the tree of classes."""

import re

from engine import errors
from engine.errors import EngineError


def _drawn(drawing: str) -> dict[str, str]:
    """Class → its parent, from the lines `│   ├── Name   text`: four columns a level."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in drawing.splitlines():
        if found := re.match(r"([│├└─ ]*)(\w+Error)\b", line):
            level = len(found[1]) // 4
            path = [*path[:level], found[2]]
            if level:
                parents[found[2]] = path[level - 1]
    return parents


def test_the_drawn_tree_is_the_tree_of_classes() -> None:
    classes = [item for item in vars(errors).values() if isinstance(item, type) and item is not EngineError]
    assert _drawn(errors.__doc__ or "") == {item.__name__: item.__bases__[0].__name__ for item in classes}


def test_an_error_carries_its_next_step_beside_its_message() -> None:
    error = EngineError("it is cold", "light the stove")
    assert (str(error), error.hint) == ("it is cold", "light the stove")
    assert EngineError("it is cold").hint == ""
