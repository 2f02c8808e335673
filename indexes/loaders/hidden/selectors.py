"""Selectors of CSS: parsed from a style sheet, and matched with the elements of a page."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_NAME = r"(?:\\.|[\w-]|[^\x00-\x7f])+"
_TOKEN = re.compile(
    rf"(?P<combinator>\s*[>+~]\s*|\s+)|(?P<tag>\*|{_NAME})|\#(?P<id>{_NAME})|\.(?P<class>{_NAME})"
    rf"|\[\s*(?P<attribute>{_NAME})\s*(?:(?P<sign>[~|^$*]?=)\s*(?P<value>\"[^\"]*\"|'[^']*'|{_NAME})\s*[is]?\s*)?\]"
    rf"|:(?P<pseudo>:?{_NAME}(?:\((?:[^()]|\([^()]*\))*\))?)"
)
_NTH = re.compile(r"nth-child\(\s*(?:([+-]?\d*)n\s*)?([+-]?\s*\d+)?\s*\)")
_PARTS_OF_ELEMENTS = (":", "before", "after", "first-line", "first-letter")
_PASSING = (  # that hold only while a reader does something
    "hover", "focus", "focus-within", "focus-visible", "active", "visited", "target", "checked", "disabled", "enabled",
    "invalid", "valid", "placeholder-shown", "open", "fullscreen", "popover-open", "autofill",
)  # fmt: skip
_ALWAYS = ("link", "any-link", "defined", "host")
_MAX_SELECTOR = 1000  # characters


class TooMuchStyle(Exception):  # noqa: N818 - no error: the page is read without its sheets
    """A page whose selectors take longer to match than any page's should."""


@dataclass(slots=True)
class Budget:
    """How many comparisons of an element with a part of a selector a page may still take."""

    left: int

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise TooMuchStyle


@dataclass(slots=True)
class Node:
    """An element as a selector sees it, with those around it; `ordinal` counts its siblings from 1."""

    tag: str
    attributes: Mapping[str, str]
    above: "Node | None"
    ordinal: int = 1
    children: int = 0
    classes: tuple[str, ...] = ()

    @property
    def marks(self) -> list[str]:
        """What rules can be filed under that may mean the element: its tag, its classes and its id."""
        marks = [self.tag, *("." + name for name in dict.fromkeys(self.classes))]
        if name := self.attributes.get("id"):
            marks.append("#" + name)
        return marks

    def __post_init__(self) -> None:
        self.classes = tuple(self.attributes.get("class", "").split())
        if self.above is not None:
            self.above.children += 1
            self.ordinal = self.above.children


@dataclass(slots=True)
class Compound:
    """What one element must be. `is_exact`: nothing of the selector is left out because it is not known here."""

    tag: str = ""
    ids: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    every: list[tuple[int, int]] = field(default_factory=list)  # a and b of :nth-child(an+b)
    is_root: bool = False
    is_exact: bool = True

    @property
    def mark(self) -> str:
        """An id, a class or a tag that the element must have; empty where any may be meant."""
        if self.ids:
            return "#" + self.ids[0]
        return "." + self.classes[0] if self.classes else self.tag

    def matches(self, node: Node) -> bool:
        attributes = node.attributes
        return (
            (not self.tag or self.tag == node.tag)
            and all(name in node.classes for name in self.classes)
            and all(name == attributes.get("id") for name in self.ids)
            and all(_has(attributes.get(name), sign, value) for name, sign, value in self.attributes)
            and all(_is_nth(node.ordinal, step, first) for step, first in self.every)
            and (not self.is_root or node.above is None)
        )


@dataclass(frozen=True, slots=True)
class Selector:
    """Compounds from the element itself outwards; `combinators[i]` stands between compound i and i + 1."""

    compounds: tuple[Compound, ...]
    combinators: tuple[str, ...]
    specificity: tuple[int, int, int]

    @property
    def is_exact(self) -> bool:
        return all(compound.is_exact for compound in self.compounds) and not set("+~") & set(self.combinators)

    @property
    def mark_above(self) -> str:
        """What some element around the one that is meant must have; a class or an id rather than a tag."""
        pairs = zip(self.combinators, self.compounds[1:], strict=True)
        marks = [compound.mark for combinator, compound in pairs if combinator not in "+~"]
        return min(filter(None, marks), key=lambda mark: mark[0] not in ".#", default="")

    def matches(self, node: Node, budget: Budget) -> bool:
        """Whether the element is meant; of `+` and `~` only the common parent is looked at."""
        budget.spend()
        return self.compounds[0].matches(node) and self._matches_above(node, 1, budget)

    def _matches_above(self, node: Node, index: int, budget: Budget) -> bool:
        if index == len(self.compounds):
            return True
        combinator, compound = self.combinators[index - 1], self.compounds[index]
        if combinator in "+~":
            return self._matches_above(node, index + 1, budget)
        above = node.above
        while above is not None:
            budget.spend()
            if compound.matches(above) and self._matches_above(above, index + 1, budget):
                return True
            if combinator == ">":
                return False
            above = above.above
        return False


def _has(held: str | None, sign: str, value: str) -> bool:
    if held is None or not sign:
        return held is not None
    if sign == "=":
        return held == value
    if sign == "~=":
        return value in held.split()
    if sign == "|=":
        return held == value or held.startswith(value + "-")
    if not value:
        return False
    if sign == "^=":
        return held.startswith(value)
    return held.endswith(value) if sign == "$=" else value in held


def _is_nth(ordinal: int, step: int, first: int) -> bool:
    if not step:
        return ordinal == first
    return (ordinal - first) % step == 0 and (ordinal - first) // step >= 0


def parse_selectors(text: str) -> Iterator[Selector]:
    """The selectors of a list that may hold for an element as the page stands; others are left out."""
    for part in _split(text):
        part = part.strip()
        if part and len(part) <= _MAX_SELECTOR and (selector := _parse(part)):
            yield selector


def _split(text: str) -> Iterator[str]:
    """Parts between commas that stand in no brackets."""
    depth, start = 0, 0
    for index, sign in enumerate(text):
        if sign in "([":
            depth += 1
        elif sign in ")]":
            depth -= 1
        elif sign == "," and depth <= 0:
            yield text[start:index]
            start = index + 1
    yield text[start:]


def _parse(text: str) -> Selector | None:
    compounds, combinators = [Compound()], []
    ids = classes = tags = at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return None
        at = match.end()
        compound = compounds[-1]
        if match["combinator"]:
            combinators.append(match["combinator"].strip() or " ")
            compounds.append(Compound())
        elif match["tag"]:
            compound.tag = "" if match["tag"] == "*" else match["tag"].lower()
            tags += bool(compound.tag)
        elif match["id"]:
            compound.ids.append(_unescaped(match["id"]))
            ids += 1
        elif match["class"]:
            compound.classes.append(_unescaped(match["class"]))
            classes += 1
        elif match["attribute"]:
            value = _unescaped((match["value"] or "").strip("\"'"))
            compound.attributes.append((match["attribute"].lower(), match["sign"] or "", value))
            classes += 1
        else:
            pseudo = match["pseudo"].lower()
            if pseudo.startswith(_PARTS_OF_ELEMENTS) or pseudo.partition("(")[0] in _PASSING:
                return None
            _add_pseudo(compound, pseudo)
            classes += 1
    return Selector(tuple(reversed(compounds)), tuple(reversed(combinators)), (ids, classes, tags))


def _add_pseudo(compound: Compound, pseudo: str) -> None:
    if pseudo == "root":
        compound.is_root = True
    elif pseudo == "first-child":
        compound.every.append((0, 1))
    elif pseudo in ("nth-child(odd)", "nth-child(even)"):
        compound.every.append((2, 1 if "odd" in pseudo else 0))
    elif (match := _NTH.fullmatch(pseudo)) and (match[1] is not None or match[2]):
        step = {None: "0", "": "1", "+": "1", "-": "-1"}.get(match[1], match[1] or "0")
        compound.every.append((int(step[:9]), int((match[2] or "0").replace(" ", "")[:9])))
    elif pseudo not in _ALWAYS:
        compound.is_exact = False


def _unescaped(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name)
