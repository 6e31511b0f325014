"""The program that labels a document: type from a given list, domain, topics, complexity, audience."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import dspy

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, NoReplyError
from inpars_plus.programs.asking import ask_for_json, model_of
from inpars_plus.programs.inputs import check_document, check_documents
from inpars_plus.programs.program import Program
from inpars_plus.programs.routes import Route
from inpars_plus.programs.texts import fit_text
from inpars_plus.programs.together import together
from inpars_plus.signatures.analyze_document import AnalyzeDocument, DocumentAnalysis, analysis_of_types

__all__ = ["DocumentAnalyst"]

_REPLY_TOKENS = 512
_THREADS = 8
_ROUTE_REASONS = {"unreadable_reply": "unreadable_analysis", "no_reply": "no_analysis"}


class DocumentAnalyst(Program):
    """Labels documents in closed lists, so that the labels can be counted and routed by.

    The reply is JSON for every model. An engine that decodes along a JSON schema, as the embedded one does, can write
    nothing but labels of the lists. That makes them readable, not right: over 40 documents of four types the embedded
    model gave 39 readable analyses, and called each a scientific abstract, the first type of the list (10 were). For
    labels to act on, take a larger model.

    Args:
        document_types: the types to choose from, at least one.
        max_characters: how much of a document is sent; the beginning tells its kind.
        threads: calls at once where several documents are to be routed. It says what the engine bears, not what the
            program is, so it is not saved.
    """

    def __init__(self, document_types: Sequence[str], *, max_characters: int = 2_000, threads: int = _THREADS) -> None:
        super().__init__()
        if isinstance(document_types, str):
            raise ConfigurationError(
                "an analyst takes a list of document types, not one string", remedy=f"Pass ['{document_types}']"
            )
        types = tuple(dict.fromkeys(document_type.strip() for document_type in document_types))
        if not types or not all(types):
            raise ConfigurationError("there are no document types to choose from", remedy="Name at least one.")
        if max_characters < 1:
            raise ConfigurationError(f"max_characters is {max_characters}, but must be at least 1")
        if threads < 1:
            raise ConfigurationError(f"threads is {threads}, but must be at least 1")
        self.document_types = types
        self.max_characters = max_characters
        self.threads = threads
        self.analyze = dspy.Predict(AnalyzeDocument)

    def forward(self, source: Document) -> dspy.Prediction:
        """Label one document.

        Returns:
            A prediction with ``analysis`` (a :class:`~inpars_plus.signatures.DocumentAnalysis`, or ``None``) and
            ``reason`` (``None``, or why there is no analysis: ``empty_document``, ``unreadable_reply``, or ``no_reply``
            where the call failed and another attempt may bring one).

        Raises:
            ConfigurationError: if there is no language model, or the source is no document.
            ModelError: if the model is dead or its spending cap is reached.
        """
        check_document(source)
        if source.is_empty:
            return dspy.Prediction(analysis=None, reason="empty_document")
        # A type outside the list is refused in parsing; the predictor's own signature stays the one that is compiled.
        signature = self.analyze.signature.with_updated_fields("analysis", type_=analysis_of_types(self.document_types))
        try:
            reply = ask_for_json(
                self.analyze,
                reply_tokens=_REPLY_TOKENS,
                tell_failed=True,
                signature=signature,
                document=fit_text(f"{source.title}\n{source.text}".strip(), self.max_characters),
                document_types=list(self.document_types),
            )
        except NoReplyError:
            return dspy.Prediction(analysis=None, reason="no_reply")
        if reply is None:
            return dspy.Prediction(analysis=None, reason="unreadable_reply")
        # Out of the type that is bound to this list, so that analyses of several analysts compare and pickle.
        analysis = DocumentAnalysis.model_validate(reply.analysis.model_dump())
        return dspy.Prediction(analysis=analysis, reason=None)

    def route(self, documents: Sequence[Document]) -> list[Route]:
        """The types of documents, as :class:`~inpars_plus.programs.routes.Analyst` has it, in calls at once.

        Returns:
            A route a document: a type of the list, or ``empty_document``, ``unreadable_analysis`` or ``no_analysis``.

        Raises:
            ConfigurationError: if there is no language model, or what is given is no list of documents.
            ModelError: if the model is dead or its spending cap is reached.
        """
        check_documents(documents)
        routes = []
        analyses = together(lambda document: self(source=document), documents, threads=self.threads, lm=model_of(self))
        for found in analyses:
            if found.analysis is None:
                routes.append(Route(document_type=None, reason=_ROUTE_REASONS.get(found.reason, found.reason)))
            else:
                routes.append(Route(document_type=found.analysis.doc_type, nearest=found.analysis.doc_type))
        return routes

    def dump_settings(self) -> dict[str, Any]:
        """What the program store must know, beside DSPy's state, to build this program again."""
        return {"document_types": list(self.document_types), "max_characters": self.max_characters}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Build a program from what :meth:`dump_settings` gave."""
        return cls(settings["document_types"], max_characters=settings["max_characters"])
