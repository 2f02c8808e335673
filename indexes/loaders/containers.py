"""Zip containers and the XML inside them, opened so that neither can cost more than the limits allow."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..errors import LoadError
from .limits import LoadLimits
from .parts import squeeze

if TYPE_CHECKING:
    from lxml.etree import _Element

_MAX_DIRECTORY_MIB = 8  # of a zip's list of members: over 80,000 of them
_MAX_XML_MIB = 128  # of one XML member; its tree takes several times as much memory
_STEP = 2**16
_END_OF_DIRECTORY = 22  # bytes of the record without its comment
_LOCATOR_64, _END_64 = 20, 56


@contextmanager
def reading_package() -> Iterator[None]:
    """Turns what zip, XML and Office libraries raise on damaged files into a LoadError that says so."""
    from lxml.etree import LxmlError

    try:
        yield
    except LoadError:
        raise
    except RecursionError as error:
        raise LoadError("is nested too deeply to be read") from error
    except (
        zipfile.BadZipFile,
        zlib.error,
        LxmlError,
        struct.error,
        NotImplementedError,
        RuntimeError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        AssertionError,
        EOFError,
        OSError,
    ) as error:
        raise LoadError(f"is truncated or damaged ({squeeze(str(error))[:120] or type(error).__name__})") from error


def member_names(path: Path) -> frozenset[str]:
    """Names of a zip's members. Raises LoadError for a damaged one and for one with a bloated directory."""
    with reading_package(), _open(path) as archive:
        return frozenset(archive.namelist())


class Container:
    """A zip file opened for reading; what it unpacks is counted as it comes, whatever its directory claims."""

    def __init__(self, path: Path, limits: LoadLimits) -> None:
        self._limit_mib = limits.max_unpacked_mib
        self._unpacked = 0
        with reading_package():
            self._archive = _open(path)
        for member in self._archive.infolist():
            if member.flag_bits & 1:
                self._archive.close()
                raise LoadError("is encrypted; save a copy without a password")
        self.names = frozenset(self._archive.namelist())

    def __enter__(self) -> "Container":
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def read(self, name: str) -> bytes:
        """A member's bytes. Raises LoadError for a missing or damaged one and past the limit."""
        if name not in self.names:
            raise LoadError(f"is damaged: its part {name[:120]!r} is missing")
        with reading_package():
            return b"".join(self._steps(self._archive.getinfo(name)))

    def xml(self, name: str) -> "_Element":
        """The root of a member that is XML."""
        return parse_xml(self.read(name))

    def check(self) -> None:
        """Unpacks every member once and keeps none, so that a library may be trusted with the file after it."""
        with reading_package():
            for member in self._archive.infolist():
                for _ in self._steps(member):
                    pass

    def _steps(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        is_xml, size = member.filename.lower().endswith((".xml", ".rels")), 0
        with self._archive.open(member) as stream:
            while step := stream.read(_STEP):
                size += len(step)
                self._unpacked += len(step)
                if self._unpacked > self._limit_mib * 2**20:
                    raise LoadError(f"unpacks to more than the limit of {self._limit_mib} MiB")
                if is_xml and size > _MAX_XML_MIB * 2**20:
                    raise LoadError(f"holds more than {_MAX_XML_MIB} MiB of XML in {squeeze(member.filename)[:120]!r}")
                yield step


def parse_xml(data: bytes) -> "_Element":
    """The root of an XML document; entities stay unresolved and nothing outside of it is read."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    with reading_package():
        return etree.fromstring(data, parser)


def _open(path: Path) -> zipfile.ZipFile:
    with path.open("rb") as stream:
        directory = _directory_bytes(stream)
    if directory > _MAX_DIRECTORY_MIB * 2**20:
        raise LoadError(f"has a list of members of {directory / 2**20:.0f} MiB, over {_MAX_DIRECTORY_MIB} MiB")
    return zipfile.ZipFile(path)


def _directory_bytes(stream: BinaryIO) -> int:
    """Size of the central directory as the records at the file's end give it: what a reader would load at once."""
    end = stream.seek(0, 2)
    tail_start = max(0, end - _END_OF_DIRECTORY - _LOCATOR_64 - _END_64 - 2**16)
    stream.seek(tail_start)
    tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END_OF_DIRECTORY > len(tail):
        return 0
    (size,) = struct.unpack_from("<I", tail, at + 12)
    record = at - _LOCATOR_64 - _END_64
    if record >= 0 and tail[at - _LOCATOR_64 : at - _LOCATOR_64 + 4] == b"PK\x06\x07":
        (size,) = struct.unpack_from("<Q", tail, record + 40)
    return int(size)
