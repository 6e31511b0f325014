"""What a compile would take, told without calling a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from inpars_plus.corpora import Corpus
from inpars_plus.experiments.exchanging import exchange_plan
from inpars_plus.experiments.selection import TypeDocuments
from inpars_plus.experiments.tables import text_table
from inpars_plus.experiments.warm_starts import warm_programs
from inpars_plus.experiments.workbench import Workbench
from inpars_plus.lms import CompletionAdapter, adapter_for
from inpars_plus.optimizers.prompts import estimate, plan_for
from inpars_plus.programs import KeyTerms, example_of
from inpars_plus.programs.granularities import GRANULARITIES

if TYPE_CHECKING:
    from inpars_plus.experiments.compile_programs import CompileSettings

__all__ = ["preview"]

_ROWS = 3


def preview(settings: CompileSettings, bench: Workbench, corpus: Corpus, documents: Mapping[str, TypeDocuments]) -> str:
    """The estimate as a table: one line a type for compiling, one for scoring on test documents, one for all.

    Raises:
        ConfigurationError: the budget is too small, or the model's name or settings are wrong.
    """
    lm = bench.lm
    chat = not isinstance(adapter_for(lm, None), CompletionAdapter)
    student = GRANULARITIES[settings.granularity](key_terms=KeyTerms.fit([]))
    start = warm_programs(settings.warm_start)
    rows, total = [], [0.0] * 5
    priced = True
    for doc_type, drawn in documents.items():
        examples = [
            [
                example_of(one, number_of_queries=settings.queries_per_document, key_terms=student.key_terms)
                for one in part
            ]
            for part in (drawn.train, drawn.validation)
        ]
        plan = plan_for(
            student,
            trainset=examples[0],
            valset=examples[1],
            lm=lm,
            budget=settings.budget,
            document_type=doc_type,
            start=start,
        )
        told = estimate(plan, [*examples[0], *examples[1]], model=str(lm.model), threads=settings.threads, chat=chat)
        several = len(documents) > 1
        programs = _ROWS + (several and settings.exchange) + (len(documents) - 1 if settings.cross_types else 0)
        at_once = chat and not student.one_query_a_turn
        per_document = student.attempts * (1 if at_once else settings.queries_per_document)
        scoring = programs * len(drawn.test) * per_document
        exchange = exchange_plan(settings, types=len(documents), validation=len(drawn.validation))
        parts = [(f"compile {doc_type}", plan.calls)]
        parts += [(f"exchange {doc_type}, at most", exchange.calls)] if exchange is not None else []
        for label, calls in [*parts, (f"score {doc_type}, at most", scoring)]:
            factor = calls / plan.calls
            figures = [
                told.calls * factor,
                told.prompt_tokens * factor,
                told.completion_tokens * factor,
                told.minutes * factor,
                (told.cost_usd or 0.0) * factor,
            ]
            priced = priced and told.cost_usd is not None
            total = [one + more for one, more in zip(total, figures, strict=True)]
            rows.append(_row(label, figures, priced))
    rows.append(_row("in all, at most", total, priced))
    head = ["", "calls", "prompt tokens", "completion tokens", "minutes", "cost in US dollars"]
    table = text_table(head, rows, numbers=set(range(1, len(head))))
    return (
        f"{len(corpus):,} documents, model {lm.model}\n\n{table}\n\n"
        "No model was called and nothing was written. Indexing the documents comes on top, once: about a minute for "
        "each 2,000 documents with the default retriever on two cores."
    )


def _row(label: str, figures: list[float], priced: bool) -> list[str]:
    calls, sent, received, minutes, cost = figures
    return [
        label,
        f"{calls:,.0f}",
        f"{sent:,.0f}",
        f"{received:,.0f}",
        f"{minutes:.1f}",
        f"{cost:.2f}" if priced else "unknown",
    ]
