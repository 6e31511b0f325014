"""Which document types of a corpus are compiled, and which of their documents are used for what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inpars_plus.corpora import Corpus, Document, sample, split_documents
from inpars_plus.corpora.constraints import constraints_of
from inpars_plus.foundation import ConfigurationError, digest, say

__all__ = ["TypeDocuments", "choose_types", "documents_by_type", "safe_name"]

_LEAST_DOCUMENTS = 4
_SAFE = re.compile(r"[a-z0-9][a-z0-9._-]{0,80}")


@dataclass(frozen=True)
class TypeDocuments:
    """The documents of one type, drawn at random from their splits; none is empty.

    Attributes:
        train: prompts learn from these.
        validation: prompts are chosen on these.
        test: programs are scored on these, at the end.
    """

    train: list[Document]
    validation: list[Document]
    test: list[Document]


def choose_types(corpus: Corpus, wanted: Sequence[str], *, by_type: bool | None) -> list[str]:
    """The types to compile for.

    Args:
        corpus: what there is.
        wanted: types that a person named.
        by_type: every type of the corpus; ``None`` for a job that has no such flag.

    Raises:
        ConfigurationError: a named type is not there, or there are several and no choice was made.
    """
    there = corpus.types()
    listed = ", ".join(f"{name} ({count:,})" for name, count in there.items())
    missing = next((name for name in wanted if name not in there), None)
    if missing is not None:
        raise ConfigurationError(
            f"the corpus has no documents of type '{missing}'", place="--doc-type", remedy=f"It has {listed}"
        )
    if wanted:
        return list(dict.fromkeys(wanted))
    if by_type or len(there) == 1:
        return list(there)
    raise ConfigurationError(
        f"the corpus has {len(there)} document types: {listed}",
        remedy="Name some with --doc-type TYPE" + ("" if by_type is None else ", or take all with --by-type"),
    )


def documents_by_type(
    corpus: Corpus,
    types: Sequence[str],
    *,
    counts: Mapping[str, int],
    seed: int,
    skip_small: bool,
    constrained: bool = False,
) -> dict[str, TypeDocuments]:
    """Draw the documents of each type.

    Args:
        corpus: what to draw from.
        types: from :func:`choose_types`.
        counts: most documents of ``train``, ``validation`` and ``test``.
        seed: of the draw; the splits do not depend on it.
        skip_small: leave out types with too few documents instead of refusing.
        constrained: leave out documents whose metadata give no constraint: nothing is asked about them, and each would
            count as a document for which nothing good was written.

    Raises:
        ConfigurationError: a type, or every type, has too few documents that are left.
    """
    kept: dict[str, list[Document]] = {name: [] for name in types}
    without = 0
    for document in corpus.documents():
        if document.doc_type in kept and not document.is_empty:
            if constrained and not constraints_of(document):
                without += 1
            else:
                kept[document.doc_type].append(document)
    if without:
        say(f"{without:,} documents are left out: their metadata name no source, author, date or topic")
    usable = "with a source, author, date or topic" if constrained else "that are not empty"
    found = {}
    for name, documents in kept.items():
        splits = split_documents(documents, corpus)
        drawn = TypeDocuments(
            sample(splits.train, counts["train"], seed),
            sample(splits.validation, counts["validation"], seed),
            sample(splits.test, counts["test"], seed),
        )
        if min(len(drawn.train), len(drawn.validation), len(drawn.test)) >= _LEAST_DOCUMENTS:
            found[name] = drawn
            continue
        problem = (
            f"{len(documents)} documents of type '{name}' {usable} make {len(drawn.train)} train, "
            f"{len(drawn.validation)} validation and {len(drawn.test)} test documents, and each must be at least "
            f"{_LEAST_DOCUMENTS}"
        )
        if not skip_small:
            raise ConfigurationError(problem, remedy="Give more documents, or merge document types")
        say(f"No program for '{name}': {problem}")
    if not found:
        raise ConfigurationError(
            f"none of the {len(types)} document types has enough documents to compile on",
            remedy="Give more documents, or one type for all, as in --corpus PATH:TYPE",
        )
    return found


def safe_name(doc_type: str) -> str:
    """A file name for a document type; different types get different names, also where case does not count."""
    if _SAFE.fullmatch(doc_type):
        return doc_type
    readable = re.sub(r"[^a-z0-9._-]+", "-", doc_type.lower()).strip("-.")[:60]
    return f"{readable or 'type'}-{digest(doc_type)[:8]}"
