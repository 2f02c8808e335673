"""The user's own folder: what this user trusts, and the key that tells the collections made here. For no one else."""

import os
import secrets
import stat
from pathlib import Path

HOME = "FATHOM_HOME"


def home_folder() -> Path:
    """Where it is: $FATHOM_HOME, or `fathom` in the user's data folder. It may not exist yet."""
    if given := os.environ.get(HOME):
        return Path(given).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("fathom")


def private_folder(folder: Path) -> Path:
    """The folder, made for its owner alone where it is missing. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_private(path: Path, content: bytes) -> None:
    """Replaces a file whole, readable by its owner alone; its folder is made if need be. Raises OSError."""
    private_folder(path.parent)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)


def create_private(path: Path, content: bytes) -> None:
    """Makes a file whole, readable by its owner alone; one that is there already stays. Raises OSError."""
    private_folder(path.parent)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    write_private(aside, content)
    try:
        os.link(aside, path)
    except FileExistsError:
        pass  # another process was faster
    finally:
        aside.unlink()


def read_private(path: Path, limit: int) -> bytes | None:
    """The content of a file of the user's own; None where there is none.

    Raises OSError, also for one that is not a regular file, belongs to somebody else or is longer than `limit` bytes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_size > limit:
            raise OSError(0, f"expected a file of your own of at most {limit:,} bytes", str(path))
        return stream.read(limit)
