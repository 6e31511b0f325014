"""The task of writing a search query that also says where, by whom, when or on what it was written."""

from __future__ import annotations

import dspy

from inpars_plus.signatures.generate_queries import SyntheticQuery

__all__ = ["GenerateConstrainedQueries"]


class GenerateConstrainedQueries(dspy.Signature):
    """Write a search query that a person would type to find this document, and who remembers one fact about it.

    The query says what it is about in the person's own words, and states the fact, as in "Guardian article about flood
    defences", "article by Ann Lee about rents", "June 2018 article about the ferry strike", "immigration news about
    the border wall".
    """

    document: str = dspy.InputField(desc="the text that the queries must lead to")
    key_terms: list[str] = dspy.InputField(
        desc="words that set this document apart from others of its collection; build each query around some of them"
    )
    document_type: str = dspy.InputField(desc="what kind of text it is, such as news")
    constraint: str = dspy.InputField(desc="the fact that every query must state: a source, author, date or topic")
    number_of_queries: int = dspy.InputField(desc="how many queries to write")
    queries: list[SyntheticQuery] = dspy.OutputField(
        desc="exactly as many queries as asked for; each one line of 3 to 20 words that states the fact as in the "
        "examples and says what the document is about, not copied from it"
    )
