"""The task of writing search queries for one passage of a document, as a DSPy signature."""

from __future__ import annotations

import dspy

from inpars_plus.signatures.generate_queries import SyntheticQuery

__all__ = ["GeneratePassageQueries"]


class GeneratePassageQueries(dspy.Signature):
    """Write a search query that a person would type to find this passage.

    Use the person's own words: short, on one line, about something that this passage says and that the rest of its
    document need not say.
    """

    document: str = dspy.InputField(
        desc="the title of the document, and the passage of it that the queries must lead to"
    )
    key_terms: list[str] = dspy.InputField(
        desc="words that set this passage apart from other texts; build each query around some of them"
    )
    document_type: str = dspy.InputField(desc="what kind of text it is from, such as scientific-abstract")
    number_of_queries: int = dspy.InputField(desc="how many queries to write")
    queries: list[SyntheticQuery] = dspy.OutputField(
        desc="exactly as many queries as asked for, each about another point of the passage; each one line of 3 to 20 "
        "words, understandable without the passage, not copied from it, and without mention of the text, its authors "
        "or this task"
    )
