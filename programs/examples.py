"""From documents to what programs and optimizers take: prompt inputs and DSPy examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dspy

from inpars_plus.corpora.documents import Document
from inpars_plus.programs.key_terms import KeyTerms
from inpars_plus.programs.texts import fit_text
from inpars_plus.signatures.generate_queries import SyntheticQuery

__all__ = ["MAX_DOCUMENT_CHARACTERS", "example_of", "prompt_inputs", "terms_per_ask"]

MAX_DOCUMENT_CHARACTERS = 8_000
"""How much of a document goes into a prompt, and with it into a demonstration: about 2,000 tokens of English."""

_TERMS_PER_QUERY = 3
_MAX_TERMS = 12


def terms_per_ask(number_of_queries: int) -> int:
    """How many key terms go with a request for so many queries: three for each, at most twelve."""
    return min(_TERMS_PER_QUERY * number_of_queries, _MAX_TERMS)


def prompt_inputs(document: Document, number_of_queries: int, key_terms: Sequence[str]) -> dict[str, Any]:
    """The inputs of ``GenerateQueries`` for a document: title on a line of its own, long text cut to fit."""
    return {
        "document": fit_text(f"{document.title}\n{document.text}".strip(), MAX_DOCUMENT_CHARACTERS),
        "key_terms": list(key_terms),
        "document_type": document.doc_type,
        "number_of_queries": number_of_queries,
    }


def example_of(
    document: Document, *, number_of_queries: int = 1, key_terms: KeyTerms, queries: Sequence[str] = ()
) -> dspy.Example:
    """A DSPy example for :class:`~inpars_plus.programs.query_generator.QueryGenerator`.

    Args:
        document: what to generate for.
        number_of_queries: how many.
        key_terms: document frequencies of the collection.
        queries: known good queries of this document. With them the example can serve as a labelled demonstration,
            because it also carries the fields of the signature.

    Returns:
        An example whose inputs are ``source`` and ``number_of_queries``.
    """
    fields = prompt_inputs(document, number_of_queries, key_terms.of(document, terms_per_ask(number_of_queries)))
    if queries:
        fields["queries"] = [SyntheticQuery(text=query) for query in queries]
    return dspy.Example(source=document, **fields).with_inputs("source", "number_of_queries")
