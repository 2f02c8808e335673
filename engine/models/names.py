"""What a model's name is: a path, a hub id, or neither. A folder that happens to be here takes no name's place."""

from pathlib import Path

_FILES = (".gguf", ".json")


def is_path(name: str) -> bool:
    """Whether a name says that it is a path: it begins or ends like one, names a file, or has more parts than a hub id.

    `owner/name` and `name` are looked up by name alone, whatever folders the working folder has.
    """
    return (
        name in (".", "..")
        or name.startswith(("./", "../", "~", "/"))
        or name.endswith(("/", *_FILES))
        or Path(name).is_absolute()
        or len(name.split("/")) > 2
    )


def as_path(name: str) -> Path:
    """The name as a path; `~` stays where it is nobody's home."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def is_hub_id(name: str) -> bool:
    """Whether a name can be a repository of the hub."""
    parts = name.split("/")
    return not is_path(name) and len(parts) == 2 and all(parts)


def folder_hint(name: str, otherwise: str) -> str:
    """The next step for a name that was not found: the path of a folder of that name, if there is one here."""
    return f"write ./{name} to name the folder" if Path(name).exists() else otherwise
