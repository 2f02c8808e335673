"""Repositories of the hub: found in its cache without the network, and fetched by a process of its own."""

import subprocess
from pathlib import Path

from ..errors import ModelFetchError, ModelMissingError
from ..surroundings import PYTHON, elsewhere, fetching_environment
from .names import folder_hint

_FILES = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt"]
# The reason comes on stdout, the progress that the client draws on stderr.
_FETCH = """
import sys
from huggingface_hub import snapshot_download
try:
    snapshot_download(sys.argv[1], allow_patterns=sys.argv[2:])
except Exception as error:
    print((str(error).splitlines() or [type(error).__name__])[0][:200])
    sys.exit(1)
"""


def cached(name: str) -> Path:
    """The snapshot of a repository that was fetched before. Raises ModelMissingError; never asks the network."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ModelMissingError(
            "models need huggingface_hub, which is not installed", "install fathom-rag[cpu] or fathom-rag[gpu]"
        ) from error
    try:
        return Path(snapshot_download(name, allow_patterns=_FILES, local_files_only=True))
    except Exception as error:  # the hub's client raises many kinds for what is not here
        raise ModelMissingError(
            f"the model {name} has not been fetched yet", folder_hint(name, f"fetch it: fathom models pull {name}")
        ) from error


def fetch(name: str) -> None:
    """Fetches a repository, or what of it is new, into the hub's cache. Raises ModelFetchError."""
    with elsewhere():
        done = subprocess.run(
            [*PYTHON, "-c", _FETCH, name, *_FILES],
            env=fetching_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
    if done.returncode != 0:
        reason = done.stdout.strip() or f"exit code {done.returncode}"
        raise ModelFetchError(
            f"{name} could not be fetched: {reason}",
            folder_hint(name, "check the name and the network, or name a folder"),
        )
