"""Cuts what its reader does not see out of an HTML page, so that all that is left is read."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .boilerplate import INVISIBLE_TAGS
from .hidden.css import Sheets
from .hidden.reasons import NOT_READ_ALOUD
from .hidden.selectors import Node, TooMuchStyle
from .hidden.visibility import State, first_state, state_of
from .html_tables import INLINE
from .parts import DocumentBuilder

if TYPE_CHECKING:
    from lxml.etree import _Element

_PICTURES = ("img", "svg", "video", "canvas", "picture", "image", "object")
_HIDING = (
    "//*[@style or @hidden or @popover or @aria-hidden or @color or @text]"  # what a page without sheets hides text by
)
TOO_MUCH_STYLE = "its style sheets take too long to follow: text that they hide is not kept apart"
FindSheet = Callable[[str], str | None]  # address of a sheet → its text, or None where it lies elsewhere


@dataclass(slots=True)
class Style:
    """Follows the elements of a page as they open and close, and says whether text is seen there."""

    sheets: Sheets
    has_pictures: bool = False
    is_followed: bool = True  # elements around others matter to the sheets, or to some that are still to come
    notes: list[str] = field(default_factory=list)
    unseen: str = ""  # why text at this place is not seen; empty where it is
    _open: list[tuple[Node | None, State, str]] = field(default_factory=list)

    @property
    def is_lost(self) -> bool:
        """Whether nothing inside the element that is open is seen, whatever it says."""
        return bool(self._open) and bool(self._open[-1][1].lost)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Takes the beginning of an element."""
        above, state, _ = self._open[-1] if self._open else (None, first_state(self.sheets), "")
        node = Node(tag, attributes, above) if attributes or self.is_followed else None
        if node and not state.lost:
            state = self._state(node, state)
        if self.is_followed and node:
            self.sheets.open(node)
        self.unseen = state.unseen
        self._open.append((node, state, self.unseen))

    def _state(self, node: Node, above: State) -> State:
        try:
            state = state_of(node, above, self.sheets, self.has_pictures)
        except TooMuchStyle:
            self.notes.append(TOO_MUCH_STYLE)
            self.sheets.give_up()
            state = state_of(node, above, self.sheets, self.has_pictures)
        is_silent = node.attributes.get("aria-hidden") == "true" and node.tag not in ("html", "body")
        return State(lost=NOT_READ_ALOUD) if is_silent and not state.lost else state

    def end(self) -> None:
        """Takes the end of the element that was opened last."""
        node, _, _ = self._open.pop()
        if self.is_followed and node:
            self.sheets.close(node)
        self.unseen = self._open[-1][2] if self._open else ""


def sheets_of(root: "_Element", find_sheet: FindSheet | None) -> Sheets:
    """The rules of a page's own sheets, and of those that `find_sheet` has."""
    sheets = Sheets()
    for element in root.iter("style", "link"):
        media = element.get("media", "")
        if element.tag == "style":
            sheets.add("".join(element.itertext()), media)
        elif "stylesheet" in element.get("rel", "").lower().split():
            text = find_sheet(element.get("href", "")) if find_sheet else None
            if text is None:
                sheets.is_whole = False
            else:
                sheets.add(text, media)
    return sheets


def cut_hidden(root: "_Element", builder: DocumentBuilder, find_sheet: FindSheet | None = None) -> None:
    """Takes the text that is not seen out of a page and hides it with its reason."""
    from lxml.etree import iterwalk

    sheets = sheets_of(root, find_sheet)
    if sheets.is_empty and not root.xpath(_HIDING):
        return
    style = Style(sheets, next(root.iter(*_PICTURES), None) is not None, is_followed=not sheets.is_empty)
    lost: list[tuple[_Element, str]] = []
    walk = iterwalk(root, events=("start", "end"))
    for event, element in walk:
        if event == "end":
            style.end()
            if (reason := style.unseen) and element.tail and element is not root:
                builder.hide(reason, element.tail)
                element.tail = _blank(element.tail)
            continue
        style.start(_tag(element), dict(element.items()))
        if not isinstance(element.tag, str) or element.tag in INVISIBLE_TAGS:
            walk.skip_subtree()
        elif style.is_lost:
            walk.skip_subtree()
            lost.append((element, style.unseen))
            builder.hide(style.unseen, "".join(_words(element)))
        elif (reason := style.unseen) and element.text:
            builder.hide(reason, element.text)
            element.text = _blank(element.text)
    for element, reason in lost:
        _remove(element, " " if reason == NOT_READ_ALOUD else "")
    builder.notes.extend(dict.fromkeys(style.notes))


def _tag(element: "_Element") -> str:
    return element.tag if isinstance(element.tag, str) else ""


def _blank(text: str) -> str:
    """The room that unseen text takes between what is seen around it."""
    return "\n" if "\n" in text else " " if text else ""


def _words(element: "_Element") -> Iterator[str]:
    """All text below an element, blanks between its blocks; scripts and the like are no text."""
    from lxml.etree import iterwalk

    walk = iterwalk(element, events=("start", "end"))
    for event, node in walk:
        if event == "end":
            if node is not element:
                yield node.tail or ""
        elif _tag(node) in INVISIBLE_TAGS or not _tag(node):
            walk.skip_subtree()
        else:
            yield from (" " if node.tag not in INLINE else "", node.text or "")


def _remove(element: "_Element", instead: str) -> None:
    """Takes an element out of its tree and leaves what follows it."""
    parent = element.getparent()
    if parent is None:
        return
    tail = instead + (element.tail or "")
    previous = element.getprevious()
    if previous is not None:
        previous.tail = (previous.tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail
    element.tail = None
    parent.remove(element)


def attributes_of(pairs: Iterable[tuple[object, object]]) -> dict[str, str]:
    """Attributes as a parser gives them."""
    return {str(name): str(value) for name, value in pairs}
