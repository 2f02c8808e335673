"""What `fathom trust` shows and accepts, and what is said of settings that nobody trusted."""

import shlex
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.http.address import redacted
from indexes.adopting import Claims, adopt, inspect
from indexes.collection import FOLDER, Collection, find_collection
from indexes.errors import CollectionForeignError, IndexesError
from indexes.storage.origin import revoke as revoke_collection
from indexes.storage.origin import trusted_places
from indexes.storage.schema import DATABASE
from indexes.text.printable import printable

from . import folder_settings
from .config import Loaded, check_sections, flat, load, short
from .errors import ConfigError
from .folder_settings import FILE, FolderFile

_MOST_SHOWN = 120  # characters of a value


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a file, its value, and what holds `now` where that differs; all safe to show."""

    name: str
    value: str
    now: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be trusted at a place: a settings file, a collection, or both; `settings` is what the file sets.

    A collection that is the user's own or is trusted already is None.
    """

    file: FolderFile | None
    settings: tuple[Setting, ...]
    collection: Claims | None


def notices(loaded: Loaded) -> Iterator[str]:
    """Lines for the user of a folder with settings that nobody trusted."""
    file = loaded.file
    if file is None or file.trusted:
        return
    path = printable(str(file.path))
    if file.unread:
        yield f"fathom: {path} {file.unread} and is not trusted, so it is not read\n  → {next_step(file)}"
        return
    if loaded.left_out:
        names = ", ".join(printable(name) for name in loaded.left_out)
        yield f"fathom: {path} is not trusted: {names} left out\n  → {next_step(file)}"
    if loaded.kept and folder_settings.first_sight(file):
        some = ", ".join(f"{item.name} = {item.value}" for item in shown(loaded.kept))
        yield f"fathom: {path} sets {some} (said once)"


def next_step(file: FolderFile) -> str:
    """How to trust a file. What names the file is its sender's, so a shell gets it in quotes."""
    if file.unread == folder_settings.IS_LINK:
        return "put the file itself in its place to trust it, or remove the link"
    return f"to see and accept it: fathom trust {shlex.quote(printable(str(file.path)))}"


def shown(values: Any, now: Any = None) -> tuple[Setting, ...]:
    """Settings by "section.key" as they may be shown: printable, short, URLs without passwords."""
    return tuple(
        Setting(printable(name), _value(name, value), "" if now is None or now[name] == value else _now(name, now))
        for name, value in values.items()
    )


def offer(place: Path | None, start: Path) -> Offer:
    """What there is to trust at a place, or nearest to a folder. Raises ConfigError where there is nothing, and what
    reading a file or a collection raises."""
    toml, collection = _places(place, start)
    if toml is None and collection is None:
        where = printable(str(place or start))
        raise ConfigError(f"there is neither a {FILE} nor a collection at {where}", "name one: fathom trust PATH")
    file = _whole(toml) if toml else None
    settings = shown(flat(file.sections), flat(load(file.path.parent).config.model_dump())) if file else ()
    return Offer(file, settings, _foreign(collection) if collection else None)


def accept(found: Offer) -> None:
    """Trusts all of it: the file as it was read, the collection by its name. Raises OSError and CollectionError."""
    if found.file:
        folder_settings.trust(found.file)
    if found.collection:
        adopt(Path(found.collection.folder))


def trusted() -> dict[str, list[str]]:
    """Paths of what is trusted, printable, by its kind. Raises CollectionError."""
    files = sorted(folder_settings.trusted_files())
    return {"settings": [*map(printable, files)], "collections": [*map(printable, trusted_places())]}


def stale() -> frozenset[str]:
    """Printable paths of what was trusted and counts no longer: settings that changed, and what is gone or replaced.

    Raises CollectionError.
    """
    found = set()
    for name in folder_settings.trusted_files():
        try:
            trusted_now = folder_settings.read_folder_file(Path(name), of_anyone=True).trusted
        except (ConfigError, OSError):
            trusted_now = False
        if not trusted_now:
            found.add(printable(name))
    for name in trusted_places():
        try:
            with closing(Collection.open(Path(name))) as collection:
                trusted_now = collection.trusted
        except IndexesError:
            trusted_now = False
        if not trusted_now:
            found.add(printable(name))
    return frozenset(found)


def revoked(path: Path) -> None:
    """Trusts a settings file or a collection no longer. Raises ConfigError where it was not trusted, OSError and
    CollectionError."""
    inside = [path, path / FILE, path / FOLDER]
    if not any([*map(folder_settings.revoke, inside), *map(revoke_collection, inside)]):
        raise ConfigError(f"{printable(str(path))} is not trusted", "see: fathom trust --list")


def _places(place: Path | None, start: Path) -> tuple[Path | None, Path | None]:
    if place is None:
        return folder_settings.find_project_file(start), find_collection(start)
    if place.is_dir():
        toml = place / FILE
        folders = [folder for folder in (place, place / FOLDER) if (folder / DATABASE).exists()]
        return (toml if toml.exists() else None), (folders[0] if folders else None)
    if not place.exists():
        raise ConfigError(f"{printable(str(place))} does not exist", "check the spelling")
    return place, None


def _foreign(folder: Path) -> Claims | None:
    """What a collection of somebody else says. None for one of the user's own and for one that is trusted: accepting
    these would only have all their files read anew."""
    try:
        with closing(Collection.open(folder)):
            return None
    except CollectionForeignError:
        return inspect(folder)


def _whole(path: Path) -> FolderFile:
    """The file with its content, somebody else's too. Raises ConfigError, for a link and for mistakes in it too."""
    if path.name != FILE:
        raise ConfigError(f"{printable(str(path))} is no {FILE}", f"name a {FILE}, or a folder with a collection")
    file = folder_settings.read_folder_file(path.absolute(), of_anyone=True)
    if file.unread:
        raise ConfigError(f"{printable(str(path))} {file.unread}", next_step(file))
    check_sections(path, file.sections)
    return file


def _value(name: str, value: Any) -> str:
    if name == "engine.url":
        text = printable(redacted(str(value)))
        return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "…"
    return printable(short(value, _MOST_SHOWN))


def _now(name: str, now: Any) -> str:
    return "not set" if now[name] is None else _value(name, now[name])
