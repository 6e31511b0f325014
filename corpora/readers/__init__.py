"""One reader a kind of corpus. Each yields documents with their places, as a stream."""

from __future__ import annotations

from inpars_plus.corpora.readers.records import ReadingOptions, Record

__all__ = ["ReadingOptions", "Record"]
