"""The task of writing a search query for one sentence of a document, as a DSPy signature."""

from __future__ import annotations

import dspy

from inpars_plus.signatures.generate_queries import SyntheticQuery

__all__ = ["GenerateSentenceQueries"]


class GenerateSentenceQueries(dspy.Signature):
    """Write a search query that a person would type who needs to know just what this sentence says.

    Use the person's own words: short, on one line, about the one thing that the sentence states.
    """

    document: str = dspy.InputField(desc="the title of the document, and the sentence of it that answers the query")
    key_terms: list[str] = dspy.InputField(
        desc="words of the sentence that set it apart from other texts; build the query around some of them"
    )
    document_type: str = dspy.InputField(desc="what kind of text it is from, such as scientific-abstract")
    number_of_queries: int = dspy.InputField(desc="how many queries to write")
    queries: list[SyntheticQuery] = dspy.OutputField(
        desc="exactly as many queries as asked for; each one line of 3 to 20 words that asks for what the sentence "
        "states without stating it in the same words, understandable without the document, and without mention of the "
        "text, its authors or this task"
    )
