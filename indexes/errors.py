"""What can go wrong with documents and collections.

IndexesError
├── LoadError                one file cannot be read; the run goes on without it
├── NothingToIndexError      none of the paths holds a document
├── NothingToRemoveError     a path is not in the collection
├── CollectionError          the collection cannot be used as it is
│   ├── CollectionMissingError
│   ├── CollectionVersionError
│   ├── CollectionBrokenError
│   ├── CollectionForeignError  it was not made here by this user
│   └── CollectionBusyError  another process is writing
├── EncoderError             the embedding model is missing or is not the collection's
└── QueryError               a query that cannot be searched
"""


class IndexesError(Exception):
    """Base of this room's errors; `hint` is the next step for whoever reads the message."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class LoadError(IndexesError):
    """One file cannot be read; the message is the reason that `fathom status` shows."""


class UnsupportedError(LoadError):
    """The file is of a kind that no loader reads."""


class NothingToIndexError(IndexesError):
    """None of the given paths holds a document."""


class NothingToRemoveError(IndexesError):
    """A path that was to be removed matches no file of the collection."""


class CollectionError(IndexesError):
    """The collection cannot be used as it is."""


class CollectionMissingError(CollectionError):
    """There is no collection here or in any folder above."""


class CollectionVersionError(CollectionError):
    """The collection was written by another version of fathom."""


class CollectionBrokenError(CollectionError):
    """The collection's database or an index file is damaged."""


class CollectionForeignError(CollectionError):
    """The collection was not made here by this user, and was not trusted by name."""


class CollectionBusyError(CollectionError):
    """Another process is writing to the collection."""


class EncoderError(IndexesError):
    """The embedding model is missing, or is not the one that made the collection."""


class QueryError(IndexesError):
    """A query that cannot be searched."""
