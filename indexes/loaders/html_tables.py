"""Tables of HTML as rows of cells: layout told from data, spans spread out, columns that only space others dropped."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .boilerplate import Weight
from .parts import squeeze

if TYPE_CHECKING:
    from lxml.etree import _Element

_LAYOUT_CHARACTERS = 600  # in one cell, with headings or tables inside it: the table only places text
_MAX_SPAN = 50  # columns or rows that one cell may claim
_MAX_REPEATED = 100  # characters of a cell that is told again in the rows that it spans
_BEFORE = frozenset(("$", "€", "£", "¥", "(", "($", "US$"))  # written in a cell of their own before a figure …
_AFTER = frozenset((")", "%", ")%", "%)", "pts"))  # … and after one


def visible_text(element: "_Element", weights: dict["_Element", Weight]) -> str:
    """All visible text below an element, blanks between its parts; elements without a weight are invisible."""
    from lxml.etree import iterwalk

    if not len(element):
        return element.text or ""
    parts: list[str] = []
    walk = iterwalk(element, events=("start", "end"))
    for event, node in walk:
        if event == "end":
            if node is not element and node.tail:
                parts.append(node.tail)
        elif node not in weights:
            walk.skip_subtree()
            parts.append(" ")
        else:
            parts += [" " if node.tag not in INLINE else "", node.text or ""]
    return "".join(parts)


INLINE = frozenset(
    "a abbr b bdi bdo big cite code em font i ins kbd mark q s small span strong sub sup tt u var".split()
)


def table_rows(table: "_Element", weights: dict["_Element", Weight]) -> list[list[str]] | None:
    """The rows of a table of data; None for one that only places text on the page."""
    rows = list(_own_rows(table))
    cells = [cell for row in rows for cell in row.iterchildren("td", "th") if cell in weights]
    if len(cells) <= 1 or any(_is_layout(weights[cell]) for cell in cells):
        return None
    return _without_spacers(_grid(rows, weights))


def _is_layout(weight: Weight) -> bool:
    return weight.blocks > 0 and weight.characters > _LAYOUT_CHARACTERS


def _own_rows(table: "_Element") -> Iterator["_Element"]:
    for child in table:
        if child.tag == "tr":
            yield child
        elif child.tag in ("thead", "tbody", "tfoot"):
            yield from child.iterchildren("tr")


def _grid(rows: list["_Element"], weights: dict["_Element", Weight]) -> list[list[str]]:
    """Cells by column: a wide cell is followed by blanks, a tall and short one is repeated below itself."""
    grid: list[list[str]] = []
    hanging: dict[int, tuple[int, str]] = {}  # column → rows still covered, and by what
    for row in rows:
        if row not in weights:
            continue
        cells: list[str] = []
        for cell in row.iterchildren("td", "th"):
            if cell not in weights:
                continue
            _hang(cells, hanging)
            text = squeeze(visible_text(cell, weights))
            width, height = _span(cell, "colspan"), _span(cell, "rowspan")
            for offset in range(width):
                shown = text if offset == 0 else ""
                if height > 1:
                    hanging[len(cells)] = (height - 1, shown if len(shown) <= _MAX_REPEATED else "")
                cells.append(shown)
        _hang(cells, hanging)
        grid.append(cells)
    return grid


def _hang(cells: list[str], hanging: dict[int, tuple[int, str]]) -> None:
    """Fills the next columns as long as cells from above cover them."""
    while len(cells) in hanging:
        left, text = hanging.pop(len(cells))
        if left > 1:
            hanging[len(cells)] = (left - 1, text)
        cells.append(text)


def _span(cell: "_Element", name: str) -> int:
    value = cell.get(name)
    if value is None:
        return 1
    value = value.strip()
    return min(max(int(value), 1), _MAX_SPAN) if value.isascii() and value.isdecimal() and len(value) < 10 else 1


def _without_spacers(grid: list[list[str]]) -> list[list[str]]:
    """The grid with currency and percent signs joined to their figures, and without columns that are blank."""
    joined = [_signs_joined(row) for row in grid]
    width = max(map(len, joined), default=0)
    used = [any(index < len(row) and row[index] for row in joined) for index in range(width)]
    return [[cell for cell, keep in zip(row, used, strict=False) if keep] for row in joined]


def _signs_joined(row: list[str]) -> list[str]:
    """Signs that stand in cells of their own beside figures; no cell moves to another column."""
    joined = list(row)
    last = -1  # the last cell with text
    for index, cell in enumerate(row):
        if not cell:
            continue
        if cell in _AFTER and last >= 0:
            joined[last] += cell
            joined[index] = ""
            continue
        if last >= 0 and joined[last] in _BEFORE:
            joined[index] = joined[last] + cell
            joined[last] = ""
        last = index
    return joined
