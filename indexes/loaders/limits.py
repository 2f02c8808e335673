"""What one file may cost before its loader gives up: size, time, memory, text, pages, nesting."""

from dataclasses import dataclass

OCR_SECONDS = 3600.0  # wall time of a file whose scanned pages are read, some of them ten or twenty seconds each


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """A file over a limit fails with a reason and is never cut."""

    max_file_mib: int = 256
    max_seconds: float = 120.0  # wall time in a loader's process
    max_memory_mib: int = 2048  # address space of a loader's process above what it holds at rest
    max_characters: int = 50_000_000  # of a document's text
    max_pages: int = 20_000
    max_unpacked_mib: int = 1024  # of all members of a zip container together
    max_depth: int = 5  # of attachments inside attachments
    ocr: bool = False  # read scanned pages by the optional extra `ocr`


def too_large(size_bytes: int, limits: LoadLimits) -> str:
    """Why a file of this size is not read; empty where it is."""
    if size_bytes <= limits.max_file_mib * 2**20:
        return ""
    return (
        f"is {size_bytes / 2**20:.0f} MiB, over the limit of {limits.max_file_mib} MiB;"
        " split it or raise --max-file-mib"
    )
