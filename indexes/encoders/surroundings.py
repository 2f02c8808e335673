"""What surrounds the libraries that run encoders: no working folder, and no network."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import EncoderError

# The reason comes on stdout, the progress that the hub's client draws on stderr.
_FETCH = """
import sys
from huggingface_hub import snapshot_download
try:
    snapshot_download(sys.argv[1], ignore_patterns=sys.argv[2:])
except Exception as error:
    print((str(error).splitlines() or [type(error).__name__])[0][:200])
    sys.exit(1)
"""


@contextmanager
def elsewhere() -> Iterator[Path]:
    """Stands in an empty folder of this user's own, and afterwards where it stood before: libraries read settings
    from the working folder, and their children import from it."""
    back = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))
    try:
        with tempfile.TemporaryDirectory(prefix="fathom-", ignore_cleanup_errors=True) as empty:
            os.chdir(empty)
            try:
                yield Path(empty)
            finally:
                os.fchdir(back)
    finally:
        os.close(back)


def go_offline() -> None:
    """Keeps the hub's client in this process from the network, whoever asks it."""
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = True  # read from the environment once


def fetch(hub_id: str, left_out: Sequence[str]) -> None:
    """Fetches a repository of the hub into its cache, by a process of its own. Raises EncoderError with the reason."""
    with elsewhere():
        done = subprocess.run(
            [sys.executable, "-P", "-c", _FETCH, hub_id, *left_out],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
    if done.returncode != 0:
        raise EncoderError(done.stdout.strip() or f"exit code {done.returncode}")


def _environment() -> dict[str, str]:
    """The path of imports has no relative parts."""
    found = {**os.environ, "PYTHONSAFEPATH": "1"}
    parts = [str(Path(part).absolute()) for part in found.pop("PYTHONPATH", "").split(os.pathsep) if part]
    return {**found, "PYTHONPATH": os.pathsep.join(parts)} if parts else found
