"""Every error that InPars+ raises on purpose, in one tree.

::

    InParsError
    ├── InputError              what a person gave is wrong; nothing was spent
    │   ├── CorpusError         a document, query or judgment file
    │   ├── ConfigurationError  a flag, a setting, a name
    │   └── ProgramFileError    a compiled program file: foreign, newer, tampered, for another signature
    ├── MissingPartError        an optional package or model is not installed; names the command that installs it
    ├── ModelError              a language model
    │   ├── ReplyError          one reply could not be read; data, not a crash: it becomes a rejected candidate
    │   │   └── NoReplyError    none came, however often it was asked for: the call failed and may go well later
    │   ├── DeadModelError      the model does not answer, or not usably, often enough to give up early
    │   └── SpendingCapError    the cap in tokens or currency is reached; finished work is kept
    └── RunError                a run directory: held by another process, disk full, not writable

The message of each is one sentence that says what is wrong. ``place`` says where (file and line, document id,
setting), ``remedy`` what to do; ``str()`` joins the three.
"""

from __future__ import annotations

import contextlib
import copy
from typing import Self, TypeVar

__all__ = [
    "ConfigurationError",
    "CorpusError",
    "DeadModelError",
    "InParsError",
    "InputError",
    "MissingPartError",
    "ModelError",
    "NoReplyError",
    "ProgramFileError",
    "ReplyError",
    "RunError",
    "SpendingCapError",
]


class InParsError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: one sentence that says what is wrong, without a full stop at its end.
        place: where it went wrong, such as ``corpus.jsonl, line 7`` or ``document 'a/12'``.
        remedy: what to do about it, as an imperative.
    """

    def __init__(self, message: str, *, place: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.remedy = remedy

    def __str__(self) -> str:
        head = f"{self.place}: {self.message}" if self.place else self.message
        return f"{head}. {self.remedy}" if self.remedy else head

    def anew(self) -> Self:
        """The same error, never raised yet: same kind, text and cause.

        An error that is kept and raised again and again grows by a traceback each time, and keeps alive all that the
        functions in it had at hand. So it is kept, and raised, as a copy. The cause comes without its own traceback.
        """
        fresh = _copy(self)
        cause = self.__cause__
        with contextlib.suppress(Exception):  # an error of somebody else need not be one that can be copied
            fresh.__cause__ = None if cause is None else _copy(cause)
        return fresh


E = TypeVar("E", bound=BaseException)


def _copy(error: E) -> E:
    fresh = copy.copy(error)
    fresh.__dict__.pop("__notes__", None)  # the list would be shared
    return fresh


class InputError(InParsError):
    """What a person gave is wrong."""


class CorpusError(InputError):
    """A file of documents, queries or judgments cannot be read as what it claims to be."""


class ConfigurationError(InputError):
    """A flag, a setting or a name is wrong."""


class ProgramFileError(InputError):
    """A compiled program file is foreign, newer, tampered with, or made for another signature."""


class MissingPartError(InParsError):
    """An optional package or model is not installed."""


class ModelError(InParsError):
    """A language model failed."""


class ReplyError(ModelError):
    """One reply of a model could not be read."""


class NoReplyError(ReplyError):
    """A call failed in a way that may pass, such as an overloaded server, and no attempt at it brought a reply."""


class DeadModelError(ModelError):
    """A model does not answer, or so rarely usably that going on would waste time and money."""


class SpendingCapError(ModelError):
    """The spending cap of this run is reached."""


class RunError(InParsError):
    """A run directory cannot be used."""
