"""Parts of a Word file that Word never shows: codes of fields, tracked deletions, and the other of two alternatives."""

import re
from typing import TYPE_CHECKING

from .word_looks import W

if TYPE_CHECKING:
    from lxml.etree import _Element

_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_CHOICE, _FALLBACK = _MC + "Choice", _MC + "Fallback"
_DELETED = frozenset((W + "del", W + "moveFrom"))
# What Word knows, so that it shows the first alternative: the namespaces of Office's own parts.
_KNOWN = re.compile(
    r"http://schemas\.microsoft\.com/office/(?:word/20\d\d/(?:wordml(?:/\w+)?|wordprocessing(?:Shape|Group|Canvas|Ink|Drawing))"
    r"|drawing/20\d\d/(?:\d+/\d+/)?(?:main|ink|model3d|svg/main|decorative|diagram|slicer|chart\w*)|mac/office/2008/main)"
    r"|http://schemas\.openxmlformats\.org/[\w/.-]+|urn:schemas-microsoft-com:(?:vml|mac:vml|office:\w+)"
)


def is_gone(node: "_Element") -> bool:
    """Whether nothing of an element is shown."""
    if node.tag == _CHOICE:
        return not _is_known(node)
    if node.tag == _FALLBACK:
        above = node.getparent()
        return above is not None and any(child.tag == _CHOICE and _is_known(child) for child in above)
    return node.tag in _DELETED


def _is_known(choice: "_Element") -> bool:
    """Whether Word knows all that an alternative requires."""
    names = [choice.nsmap.get(prefix, "") for prefix in choice.get("Requires", "").split()]
    return bool(names) and all(map(_KNOWN.fullmatch, names))


def field_codes(paragraph: "_Element") -> "set[_Element]":
    """Texts that stand in the code of a field, of which Word shows the result."""
    found: set[_Element] = set()
    codes: list[list[_Element] | None] = []  # of the fields that are open; None where the result has begun
    for node in paragraph.iter(W + "fldChar", W + "t"):
        kind = node.get(W + "fldCharType", "") if node.tag == W + "fldChar" else "t"
        if kind == "begin":
            codes.append([])
        elif kind == "t":
            for code in codes:
                if code is not None:
                    code.append(node)
        elif codes and kind in ("separate", "end"):
            found.update(codes.pop() or ())
            if kind == "separate":
                codes.append(None)
    return found
