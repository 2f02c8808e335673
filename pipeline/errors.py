"""What can go wrong with a question, and the exit code of every error that a user can meet.

PipelineError
├── ConfigError   a configuration file, environment variable or flag that makes no sense (exit code 2)
├── BudgetError   the reading that was asked for fits no budget (exit code 1)
└── OutputError   a result that cannot be written (exit code 1)

Errors of indexes and engine pass through; a wrong question (indexes.QueryError) is a usage error.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the `fathom` command."""

    ANSWERED = 0
    ERROR = 1
    USAGE = 2
    NO_ANSWER = 3
    BATCH_FAILURES = 4
    INTERRUPTED = 130


class PipelineError(Exception):
    """Base of this room's errors; `hint` is the next step for whoever reads the message."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(PipelineError):
    """A configuration file, environment variable or flag that makes no sense."""


class BudgetError(PipelineError):
    """The reading that was asked for fits no budget."""


class OutputError(PipelineError):
    """A result that cannot be written."""
