"""One program for documents of several types: an analyst tells the type, and the program of that type writes.

Where there is no such program, the base program writes, and the prediction says why. Where the analyst's own call
failed, nobody writes: the type is not unknown then, only not told yet. Nothing else differs from calling the chosen
program itself: same prompts, same checks, same result.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

import dspy

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, ProgramFileError
from inpars_plus.foundation.kinds import kind_of
from inpars_plus.programs.cards import ProgramCard, ProgramFileWarning
from inpars_plus.programs.fingerprints import predictors_of
from inpars_plus.programs.inputs import check_document, check_documents, check_number_of_queries
from inpars_plus.programs.key_terms import KeyTerms
from inpars_plus.programs.outcomes import RejectedCandidate
from inpars_plus.programs.program import Program
from inpars_plus.programs.query_generator import QueryGenerator, check_generator
from inpars_plus.programs.registry import REGISTRY, is_query_generator, name_of, program_class
from inpars_plus.programs.routes import ROUTE_REASONS, Analyst, Route
from inpars_plus.programs.store import list_programs, load_program

if TYPE_CHECKING:
    import os

__all__ = ["BASE", "AdaptiveQueryGenerator", "Assignment", "programs_of"]

BASE = "base"
"""What the base program is called where it is the program of no type."""

_FAILED = "no_analysis"


@dataclass(frozen=True)
class Assignment:
    """Which program writes for a document, and why.

    Attributes:
        program: the program; ``None`` where the analyst's call failed, so that the document is for another run.
        name: the type that it was compiled for, or :data:`BASE`.
        source: the document as the program gets it: with the type that was told, if any.
        reason: ``None`` where the program is that of the document's type; else a key of
            :data:`~inpars_plus.programs.routes.ROUTE_REASONS`.
        route: what the analyst said.
    """

    program: QueryGenerator | None
    name: str
    source: Document
    reason: str | None
    route: Route


class AdaptiveQueryGenerator(Program):
    """Writes queries for a document with the program that was compiled for documents of its type.

    Args:
        programs: document type → its program, at least one.
        base: writes for documents that no other program is for; may be one of ``programs``.
        analyst: tells the types of documents.

    Raises:
        ConfigurationError: there are no programs, one of them writes no queries, or the analyst tells no types.
    """

    def __init__(self, programs: Mapping[str, QueryGenerator], base: QueryGenerator, analyst: Analyst) -> None:
        super().__init__()
        if not programs:
            raise ConfigurationError(
                "there are no programs to choose from", remedy="Compile some with inpars-plus compile-programs"
            )
        if not isinstance(programs, Mapping):
            raise ConfigurationError(
                f"programs are given by their types of documents, not as {kind_of(programs)}",
                place="programs",
                remedy="Pass {document_type: program}",
            )
        for name, program in programs.items():
            check_generator(program, place=f"programs['{name}']")
        check_generator(base, place="base")
        if isinstance(analyst, type) or not isinstance(analyst, Analyst):
            raise ConfigurationError(
                f"{kind_of(analyst)} tells no types of documents",
                place="analyst",
                remedy="Pass a TypeRouter, a DocumentAnalyst or an object with route(documents) -> list[Route]",
            )
        self.programs = {name: programs[name] for name in sorted(programs)}
        self.base = base
        self.analyst = analyst

    @property
    def base_name(self) -> str:
        """The type that the base program was compiled for, or :data:`BASE`."""
        return next((name for name, program in self.programs.items() if program is self.base), BASE)

    def assign(self, documents: Sequence[Document]) -> list[Assignment]:
        """Choose a program for each document, in one batch: for whoever generates for many.

        Raises:
            ConfigurationError: the analyst lacks what it needs, such as a language model, or does not give one route a
                document; or what is given is no list of documents.
            ModelError: its model is dead or its spending cap is reached.
        """
        check_documents(documents)
        found = []
        for document, route in zip(documents, self._routes(documents), strict=True):
            name, source = route.document_type, document
            if name is not None:
                source = document.model_copy(update={"doc_type": name})
            if name is not None and name in self.programs:
                found.append(Assignment(self.programs[name], name, source, None, route))
                continue
            reason = route.reason or "no_program_for_type"
            base = None if reason == _FAILED else self.base
            found.append(Assignment(base, self.base_name, source, reason, route))
        return found

    def _routes(self, documents: Sequence[Document]) -> list[Route]:
        routes: Any = self.analyst.route(documents)
        if not isinstance(routes, list | tuple):
            told = f"{kind_of(routes)} instead of a list of routes"
        elif len(routes) != len(documents):
            told = f"{len(routes)} routes for {len(documents)} documents"
        elif strange := [one for one in routes if not isinstance(one, Route)]:
            told = f"{kind_of(strange[0])} instead of a Route"
        else:
            return [*routes]
        raise ConfigurationError(
            f"the analyst {type(self.analyst).__name__} gave {told}",
            remedy="Its method route must give one route a document, in order",
        )

    def forward(self, source: Document, number_of_queries: int = 1) -> dspy.Prediction:
        """Generate queries for one document.

        Args:
            source: the document; an empty one is sent to no model.
            number_of_queries: N, at least 1.

        Returns:
            The prediction of the chosen :class:`QueryGenerator`, with three fields more: ``document_type`` (the type
            that the analyst told, or ``None``), ``program`` (the type that the program which wrote was compiled for,
            or :data:`BASE`; ``None`` where nobody writes: for an empty document, and where the analyst's call failed,
            which is rejected as ``no_reply``) and ``route_reason`` (``None``, or why it was not the program of the type
            that wrote).

        Raises:
            ConfigurationError: if N is below 1, there is no language model, the source is no document, or the analyst
                lacks what it needs.
            ModelError: if a model is dead or its spending cap is reached.
        """
        check_document(source)
        check_number_of_queries(number_of_queries)
        (chosen,) = self.assign([source])
        if chosen.program is None:
            none = RejectedCandidate(text=ROUTE_REASONS[_FAILED], reason="no_reply", attempt=1)
            made = dspy.Prediction(queries=[], attempts=[], shown=[], rejected=[none], shortfall=int(number_of_queries))
        else:
            made = chosen.program(source=chosen.source, number_of_queries=number_of_queries)
        return dspy.Prediction(
            **dict(made.items()),
            document_type=chosen.route.document_type,
            program=None if source.is_empty or chosen.program is None else chosen.name,
            route_reason=chosen.reason,
        )

    def set_lm(self, lm: dspy.BaseLM) -> None:
        """Give all programs a language model, and the analyst if it asks one.

        DSPy would pass over programs that an optimizer has marked as compiled.
        """
        for predictor in predictors_of(self).values():
            predictor.lm = lm

    @classmethod
    def from_directory(
        cls,
        directory: str | os.PathLike[str],
        *,
        analyst: Analyst | None = None,
        base: str | None = None,
        lm: dspy.BaseLM | str | None = None,
    ) -> Self:
        """Join the programs that ``compile-programs`` wrote.

        Args:
            directory: of the compiled programs, or the run directory above it.
            analyst: tells the types; ``None`` takes the ``TypeRouter`` that lies among the programs.
            base: the type whose program writes for documents of no known type; ``None`` takes the program with the
                highest score on validation documents, because an uncompiled one writes far worse queries.
            lm: the language model, or its name, as for :func:`~inpars_plus.programs.store.load_program`. A copy of an
                analyst that asks a language model and was given none gets this one.

        Raises:
            ProgramFileError: there are no programs, no analyst, several of either for one purpose, or damaged ones.
            ConfigurationError: no program is for the type that ``base`` names.

        Warns:
            ProgramFileWarning: as for :func:`~inpars_plus.programs.store.load_program`; and for each file of a program
                that this version does not know, which is passed over.
        """
        there = list_programs(directory)
        cards = _by_type(there, directory)
        if base is not None and base not in cards:
            raise ConfigurationError(
                f"no program is for the document type '{base}', which is to be the base",
                place=str(directory),
                remedy=f"There are programs for {', '.join(cards)}",
            )
        told = _analyst_among(there, directory) if analyst is None else analyst
        if isinstance(lm, str):
            from inpars_plus.lms.names import load_lm

            lm = load_lm(lm)  # once: the programs and the analyst ask the same engine
        if (
            lm is not None
            and isinstance(told, dspy.Module)
            and any(one.lm is None for one in predictors_of(told).values())
        ):
            told = told.deepcopy()  # what the caller gave keeps no model, or the next program would get this one
            for predictor in predictors_of(told).values():
                predictor.lm = predictor.lm or lm
        programs = {name: cast(QueryGenerator, load_program(str(card.path), lm=lm)) for name, card in cards.items()}
        best = max(cards, key=lambda name: cards[name].metric.validation.after or 0.0)
        return cls(programs, programs[base or best], told)

    def dump_settings(self) -> dict[str, Any]:
        """What the program store must know, beside DSPy's state, to build this program again.

        Document frequencies that several programs share stand there once.

        Raises:
            ConfigurationError: the analyst is of a class that is not registered.
        """
        terms: list[KeyTerms] = []

        def settings_of(program: QueryGenerator) -> dict[str, Any]:
            settings = program.dump_settings()
            del settings["key_terms"]
            if program.key_terms not in terms:
                terms.append(program.key_terms)
            return {**settings, "program": name_of(program), "key_terms_number": terms.index(program.key_terms)}

        analyst: Any = self.analyst
        # Lists, because a key that reads like a secret's, such as a type called 'token', would be blanked.
        settings: dict[str, Any] = {
            "programs": [[name, settings_of(program)] for name, program in self.programs.items()],
            "base": self.base_name if self.base_name in self.programs else settings_of(self.base),
            "analyst": [name_of(analyst), analyst.dump_settings()],
        }
        return {**settings, "key_terms": [one.state() for one in terms]}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Build a program from what :meth:`dump_settings` gave.

        Raises:
            ProgramFileError: the analyst's class is none, or a program's.
        """
        terms = [KeyTerms.from_state(state) for state in settings["key_terms"]]

        def made(given: Mapping[str, Any]) -> QueryGenerator:
            number = given["key_terms_number"]
            kind = program_class(given["program"])
            if not issubclass(kind, QueryGenerator):
                raise ProgramFileError(f"a {given['program']} writes no queries", remedy="Save the program again")
            program: QueryGenerator = kind.from_settings({**given, "key_terms": settings["key_terms"][number]})
            program.key_terms = terms[number]  # one object for all that share it
            return program

        programs = {str(name): made(given) for name, given in settings["programs"]}
        base = settings["base"]
        kind, given = settings["analyst"]
        analyst = program_class(kind).from_settings(given)
        if not isinstance(analyst, Analyst):
            raise ProgramFileError(f"the analyst is a {kind}, which tells no types", remedy="Save the program again")
        return cls(programs, programs[base] if isinstance(base, str) else made(base), analyst)


def programs_of(directory: str | os.PathLike[str]) -> dict[str, ProgramCard]:
    """The query generators among compiled programs: document type → card, sorted by type.

    Args:
        directory: of the compiled programs, or the run directory above it.

    Raises:
        ProgramFileError: there is no such directory, no program in it, or two for one type.

    Warns:
        ProgramFileWarning: for each file of a program that this version does not know, which is passed over.
    """
    return _by_type(list_programs(directory), directory)


def _by_type(there: Sequence[ProgramCard], directory: str | os.PathLike[str]) -> dict[str, ProgramCard]:
    found: dict[str, ProgramCard] = {}
    for card in sorted(there, key=lambda card: card.document_type):
        if card.program not in REGISTRY:
            warnings.warn(
                f"left out: {card.path}: this version does not know the program {card.program!r}; a newer one wrote it",
                ProgramFileWarning,
                stacklevel=3,
            )
            continue
        if not is_query_generator(card.program):
            continue
        if card.document_type in found:
            raise ProgramFileError(
                f"two programs are for the document type '{card.document_type}'",
                place=f"{found[card.document_type].path} and {card.path}",
                remedy="Move one of them away",
            )
        found[card.document_type] = card
    if not found:
        raise ProgramFileError(
            "there are no compiled programs here",
            place=str(directory),
            remedy="Make some with inpars-plus compile-programs",
        )
    return found


def _analyst_among(there: Sequence[ProgramCard], directory: str | os.PathLike[str]) -> Analyst:
    cards = [card for card in there if card.program == "TypeRouter"]
    if len(cards) != 1:
        raise ProgramFileError(
            f"there are {len(cards)} fitted analysts here" if cards else "there is no fitted analyst here",
            place=str(directory),
            remedy="Give one, or compile again: compile-programs --by-type fits one for several types",
        )
    return cast(Analyst, load_program(str(cards[0].path)))
