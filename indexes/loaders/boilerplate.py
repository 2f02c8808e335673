"""Which parts of an HTML page are not its content: navigation, banners, sidebars, share bars, advertisements."""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

INVISIBLE_TAGS = frozenset(
    "head script style noscript template svg iframe object canvas audio video map datalist select option input button "
    "textarea ix:header noframes noembed rp".split()
)
_FURNITURE = frozenset("nav footer aside dialog menu".split())
_FURNITURE_ROLES = frozenset(
    "navigation banner contentinfo search complementary menu menubar toolbar dialog alertdialog tablist".split()
)
_CONTAINERS = frozenset("div section ul ol dl header table".split())
_NAMED = re.compile(
    r"(?:^|[\s_-])(?:nav|navbar|navigation|menu|menubar|breadcrumbs?|sidebar|cookies?|consent|gdpr|share|sharing|social"
    r"|newsletter|subscribe|signup|advert|adverts|advertisement|ads?|sponsor|sponsored|promo|pagination|pager|skip"
    r"|popup|modal|footer|related|recommended|recommendations|trending|masthead|toolbar)(?:$|[\s_-])"
)
_SMALL_SHARE = 0.25  # of the page's text: more than this is content, whatever its name
_NAMED_CHARACTERS = 600  # of plain text: more than this under a name of furniture is content about it
_LINK_SHARE = 0.8  # of a block's text that stands in links where it is a menu
_MENU_LINKS = 4
_MENU_LINK_CHARACTERS = 30
_ROOT_SHARE = 0.3  # of the page's text that `<main>` must hold to stand for the page


class Strictness(IntEnum):
    """What is taken for furniture: nothing but the invisible, what its tag or role says, its name and links too."""

    INVISIBLE = 0
    MARKED = 1
    NAMED = 2


@dataclass(slots=True)
class Weight:
    """What stands below an element: characters, those inside links, links, and whether blocks of text are among it."""

    characters: int = 0
    linked: int = 0
    links: int = 0
    blocks: int = 0  # headings and tables


def weigh(root: "_Element") -> dict["_Element", Weight]:
    """The weight of every visible element below the root, in one pass."""
    from lxml.etree import iterwalk

    weights: dict[_Element, Weight] = {}
    open_weights: list[Weight] = []
    walk = iterwalk(root, events=("start", "end"))
    for event, element in walk:
        if event == "start":
            weight = Weight()
            open_weights.append(weight)
            if is_invisible(element):
                walk.skip_subtree()
            else:
                weights[element] = weight
                weight.characters = len((element.text or "").strip())
            continue
        weight = open_weights.pop()
        if element.tag == "a":
            weight.linked = weight.characters
            weight.links += 1
        if element.tag in ("h1", "h2", "h3", "h4", "h5", "h6", "table"):
            weight.blocks += 1
        if open_weights:
            above = open_weights[-1]
            above.characters += weight.characters + len((element.tail or "").strip())
            above.linked += weight.linked
            above.links += weight.links
            above.blocks += weight.blocks
    return weights


def is_invisible(element: "_Element") -> bool:
    """Whether a reader never sees it on any page, because of its tag."""
    return not isinstance(element.tag, str) or element.tag in INVISIBLE_TAGS


def is_furniture(element: "_Element", weights: dict["_Element", Weight], page: int, strictness: Strictness) -> bool:
    """Whether the element is no content of a page of so many characters."""
    weight = weights.get(element)
    if weight is None:
        return True
    if strictness is Strictness.INVISIBLE or element.tag in ("html", "body", "main", "article"):
        return False
    if element.tag in _FURNITURE or (element.keys() and element.get("role", "").lower() in _FURNITURE_ROLES):
        return True
    if element.tag == "form":
        return weight.characters < page * _SMALL_SHARE
    if strictness is Strictness.MARKED or element.tag not in _CONTAINERS or weight.characters >= page * _SMALL_SHARE:
        return False
    return (_has_name(element) and _is_slight(weight)) or _is_menu(weight)


def _has_name(element: "_Element") -> bool:
    return bool(_NAMED.search(f"{element.get('class', '')} {element.get('id', '')}"[:500].lower()))


def _is_slight(weight: Weight) -> bool:
    plain = weight.characters - weight.linked
    return plain < _NAMED_CHARACTERS or weight.linked >= weight.characters * _LINK_SHARE


def _is_menu(weight: Weight) -> bool:
    return (
        weight.links >= _MENU_LINKS
        and not weight.blocks
        and weight.linked >= weight.characters * _LINK_SHARE
        and weight.linked <= weight.links * _MENU_LINK_CHARACTERS
    )


def main_part(body: "_Element", weights: dict["_Element", Weight]) -> "_Element":
    """`<main>`, the only outer `<article>`, or the body: the first that holds a fair share of the page's text."""
    page = weights[body].characters
    mains = [element for element in body.iter("main") if element in weights]
    mains += [
        element for element in body.iter("div", "section") if element.get("role") == "main" and element in weights
    ]
    articles = [element for element in body.iter("article") if element in weights]
    outer = [element for element in articles if next(element.iterancestors("article"), None) is None]
    for found in (mains, outer):
        if len(found) == 1 and weights[found[0]].characters >= page * _ROOT_SHARE:
            return found[0]
    return body
