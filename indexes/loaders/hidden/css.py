"""Style sheets of a page: which of their rules can hide text, and what they say of an element on a desktop's screen."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from .css_values import is_bare_number, is_valid, physical, unescaped
from .selectors import Budget, Node, Selector, parse_selectors

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)|<!--|-->", re.S)
_STEP = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|[{};]|[^{};\"']+|[\"']", re.S)
_MEDIA_PART = re.compile(r"\(([^()]*)\)")
_FEATURE = re.compile(
    r"(min-|max-)?(width|height)\s*:\s*([\d.]+)(px|em|rem)?|(width|height)\s*([<>]=?)\s*([\d.]+)(px|em|rem)?"
)
_SCREEN = {"width": 1280.0, "height": 800.0}  # pixels: a page is read as a desktop shows it
_HOLDING = frozenset(
    "hover:hover any-hover:hover pointer:fine any-pointer:fine orientation:landscape prefers-color-scheme:light "
    "prefers-reduced-motion:no-preference color grid:0 update:fast display-mode:browser forced-colors:none "
    "scripting:enabled".split()
)
_MAX_SHEETS_MIB = 8  # of one page together
_MAX_COMPARISONS = 3_000_000  # of elements with parts of selectors
_MAX_DECLARATIONS = 10_000  # characters of one rule
PROPERTIES = frozenset(
    "display visibility opacity font font-size position left right top bottom text-indent margin margin-left "
    "margin-top clip clip-path height max-height width max-width overflow overflow-x overflow-y transform filter "
    "float color background background-color background-image background-clip -webkit-background-clip text-shadow "
    "-webkit-text-fill-color content-visibility scale translate".split()
)
Declarations = dict[str, tuple[str, bool]]  # property → value in lower case, and whether it is important


@lru_cache(maxsize=4096)
def declarations(text: str) -> Declarations:
    """What a style attribute or a rule declares, of the properties that can hide text."""
    found: Declarations = {}
    for part in _COMMENT.sub(" ", text[:_MAX_DECLARATIONS]).split(";"):
        name, colon, value = part.partition(":")
        if not colon:
            continue
        value = " ".join(unescaped(value).lower().split())
        bare = value.removesuffix("important").rstrip()
        is_important = bare != value and bare.endswith("!")
        if is_important:
            value = bare[:-1].rstrip()
        for side, part_of_it in physical(unescaped(name.strip()).lower(), value):
            if side in PROPERTIES and part_of_it and _counts(side, part_of_it, is_important, found):
                found[side] = part_of_it, is_important
    return found


def _counts(name: str, value: str, is_important: bool, found: Declarations) -> bool:
    """Whether a declaration holds beside those before it: one that no browser takes changes nothing."""
    if found.get(name, ("", False))[1] and not is_important:
        return False
    return is_valid(name, value) or (name not in found and is_bare_number(value))


@dataclass(frozen=True, slots=True)
class _Rule:
    selector: Selector
    order: int
    declared: Declarations


@dataclass(slots=True)
class Sheets:
    """The rules of a page's sheets. `is_whole` is False where a sheet lies elsewhere, so that colours are unknown."""

    is_whole: bool = True
    is_empty: bool = True
    budget: Budget = field(default_factory=lambda: Budget(_MAX_COMPARISONS))
    _characters: int = 0
    _count: int = 0
    _around: dict[str, int] = field(default_factory=dict)  # marks of the elements that are open
    _by_mark: defaultdict[str, defaultdict[str, list[_Rule]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, text: str, media: str = "") -> None:
        """Takes the rules of a sheet; one that is too long counts as one that lies elsewhere."""
        self._characters += len(text)
        if self._characters > _MAX_SHEETS_MIB * 2**20:
            self.is_whole = False
            return
        if media and not is_shown_on_screen(media):
            return
        for prelude, body in _rules(text, self):
            declared = declarations(body)
            if not declared:
                continue
            for selector in parse_selectors(prelude):
                self._count += 1
                rules = self._by_mark[selector.compounds[0].mark][selector.mark_above]
                rules.append(_Rule(selector, self._count, declared))
                self.is_empty = False

    def of(self, node: Node) -> tuple[dict[str, str], frozenset[str]]:
        """What holds for an element by its style attribute and the sheets, and what may hold by other selectors.

        Raises TooMuchStyle where a page's selectors take too long.
        """
        own = declarations(node.attributes["style"]) if node.attributes.get("style") else {}
        if self.is_empty:
            return {name: value for name, (value, _) in own.items()}, frozenset()
        matched = [rule for rule in self._candidates(node) if rule.selector.matches(node, self.budget)]
        matched.sort(key=lambda rule: (rule.selector.specificity, rule.order))
        values: dict[str, str] = {}
        for is_important in (False, True):
            for declared in (*(rule.declared for rule in matched if rule.selector.is_exact), own):
                values |= {name: value for name, (value, marked) in declared.items() if marked is is_important}
        open_to = {name for rule in matched if not rule.selector.is_exact for name in rule.declared}
        return values, frozenset(open_to - own.keys())

    def give_up(self) -> None:
        """Forgets all rules."""
        self._by_mark.clear()
        self.is_empty, self.is_whole = True, False

    def open(self, node: Node) -> None:
        """Says that what follows lies inside an element."""
        for mark in node.marks:
            self._around[mark] = self._around.get(mark, 0) + 1

    def close(self, node: Node) -> None:
        """Says that the element that was opened last ends here."""
        for mark in node.marks:
            self._around[mark] -= 1
            if not self._around[mark]:
                del self._around[mark]

    def _candidates(self, node: Node) -> Iterator[_Rule]:
        """Rules that may mean an element by what it and those around it are."""
        for mark in ("", *node.marks):
            if by_mark_above := self._by_mark.get(mark):
                yield from by_mark_above.get("", ())
                fewer = by_mark_above if len(by_mark_above) < len(self._around) else self._around
                for above in fewer:
                    if above and above in self._around and above in by_mark_above:
                        yield from by_mark_above[above]


def _rules(text: str, sheets: Sheets) -> Iterator[tuple[str, str]]:
    """(selectors, declarations) of the rules that hold on a screen, those inside other rules too."""
    open_blocks: list[str | None] = []  # selectors, "" for a block that only groups, None for one that is left out
    parts: list[str] = []
    bodies: list[list[str]] = []
    for match in _STEP.finditer(_COMMENT.sub(" ", text)):
        step = match[0]
        if step not in ("{", "}", ";"):
            parts.append(step)
            continue
        said = "".join(parts).strip()
        parts.clear()
        above = open_blocks[-1] if open_blocks else ""
        if step == "{":
            open_blocks.append(_opened(said, above))
            bodies.append([])
            continue
        if said.lower().startswith("@import"):
            sheets.is_whole = False
        elif said and bodies:
            bodies[-1].append(said)
        if step == "}" and open_blocks:
            selectors, body = open_blocks.pop(), bodies.pop()
            if selectors and body:
                yield selectors, ";".join(body)
    while open_blocks:  # a sheet that ends before its blocks do
        selectors, body = open_blocks.pop(), [*bodies.pop(), "".join(parts).strip()]
        parts.clear()
        if selectors:
            yield selectors, ";".join(body)


def _opened(said: str, above: str | None) -> str | None:
    """The selectors of a block inside another one; None where it does not hold."""
    if above is None:
        return None
    if said.startswith("@"):
        name, _, condition = said[1:].partition(" ")
        name, bracket, rest = name.lower().partition("(")
        condition = bracket + rest + " " + condition
        if name == "media":
            return above if is_shown_on_screen(condition) else None
        return above if name == "layer" or (name == "supports" and "not" not in condition.split()) else None
    if not above:
        return said
    if "," in above or len(above) + len(said) > 1000:  # lists inside lists would multiply
        above = above.partition(",")[0][:500]
    return ", ".join(part.replace("&", above) if "&" in part else f"{above} {part}" for part in said.split(",")[:50])


def is_shown_on_screen(media: str) -> bool:
    """Whether a media query holds on a desktop's screen of 1280 × 800 pixels; unknown features do not hold."""
    return any(map(_holds, media.lower()[:2000].split(",")))


def _holds(query: str) -> bool:
    words = _MEDIA_PART.sub(" ", query).split()
    is_negated = "not" in words
    kinds = [word for word in words if word not in ("only", "and", "not", "or")]
    features: Iterable[str] = _MEDIA_PART.findall(query)
    holds = all(kind in ("all", "screen") for kind in kinds) and all(map(_has_feature, features))
    return holds is not is_negated


def _has_feature(feature: str) -> bool:
    match = _FEATURE.fullmatch(feature.strip())
    if match is None:
        return feature.replace(" ", "") in _HOLDING
    size = float((match[3] or match[7]).strip(".") or 0) * (16 if "em" in (match[4] or match[8] or "") else 1)
    actual = _SCREEN[match[2] or match[5]]
    sign = match[6] or {"min-": ">=", "max-": "<="}.get(match[1] or "", "=")
    if "<" in sign:
        return actual < size or (actual == size and "=" in sign)
    return actual == size if sign == "=" else actual > size or (actual == size and "=" in sign)
