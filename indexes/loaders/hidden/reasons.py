"""What a reader of a file does not see: how it is told with the file. It is kept apart from the text."""

from collections import defaultdict
from dataclasses import replace

from ...documents import HiddenText, LoadedDocument

# Why a reader does not see a text.
MARKED = "marked hidden"  # by the format's own mark: hidden characters, `display: none`
WHITE = "white text"  # white on white
SAME_COLOUR = "text in the colour of its background"
TINY = "tiny text"
OFF_PAGE = "off the page"
COVERED = "covered"
INVISIBLE = "invisible text"  # drawn with nothing, or wholly transparent
LAYER = "hidden layer"
SHEET = "hidden sheet"
ROW = "hidden rows"
COLUMN = "hidden columns"
BLANK_FORMAT = "number format that shows nothing"
OTHER_FORMAT = "value in place of which its number format shows a text"
SLIDE = "hidden slide"
SHAPE = "hidden shape"
NOT_READ_ALOUD = "aria-hidden"  # hidden from screen readers
OTHER_VERSION = "a version that mail programs do not show"
CHARACTERS = "invisible characters"
REORDERED = "reversed text"  # shown in another order than stored

TINY_POINTS = 2.0  # text of this size or less cannot be read

KEPT_APART = ": kept apart"  # how a note on hidden text ends
_MAX_PAGES = 12  # named in a note


def with_hidden_notes(document: LoadedDocument) -> LoadedDocument:
    """The document with a note for every reason for which text of it is hidden."""
    if not document.hidden:
        return document
    by_reason: defaultdict[str, list[HiddenText]] = defaultdict(list)
    for item in document.hidden:
        by_reason[item.reason].append(item)
    return replace(document, notes=(*document.notes, *(_note(reason, some) for reason, some in by_reason.items())))


def none_seen(hidden: tuple[HiddenText, ...]) -> str:
    """Why a file whose text is all hidden is not read."""
    characters = sum(len(item.text) for item in hidden)
    reasons = ", ".join(dict.fromkeys(item.reason for item in hidden))
    return f"holds no text that its reader sees; {characters:,} characters are hidden ({reasons})"


def _note(reason: str, items: list[HiddenText]) -> str:
    characters = sum(len(item.text) for item in items)
    pages = sorted({item.page for item in items if item.page is not None})
    where = ", ".join(map(str, pages[:_MAX_PAGES])) + (", …" if len(pages) > _MAX_PAGES else "")
    on_pages = f" on page{'s' if len(pages) > 1 else ''} {where}" if pages else ""
    return f"holds {characters:,} characters that its reader does not see ({reason}){on_pages}{KEPT_APART}"
