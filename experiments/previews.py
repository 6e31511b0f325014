"""What a compile would take, told without calling a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from inpars_plus.corpora import Corpus
from inpars_plus.experiments.exchanging import exchange_plan
from inpars_plus.experiments.selection import TypeDocuments
from inpars_plus.experiments.tables import text_table
from inpars_plus.experiments.warm_starts import warm_programs
from inpars_plus.experiments.workbench import Workbench
from inpars_plus.lms import CompletionAdapter, adapter_for
from inpars_plus.optimizers.prompts import Estimate, estimate, plan_for
from inpars_plus.optimizers.prompts.estimates import estimate_instructions
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
    lm, prompt_lm = bench.lm, bench.prompt_lm(settings)
    chat = not isinstance(adapter_for(lm, None), CompletionAdapter)
    student = GRANULARITIES[settings.granularity](key_terms=KeyTerms.fit([]))
    start = warm_programs(settings.warm_start)
    rows: list[tuple[str, list[float]]] = []
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
            rows.append((label, [figure * factor for figure in _figures(told)]))
        if prompt_lm is not None:
            model = str(prompt_lm.model)
            written = estimate_instructions(
                plan, [*examples[0], *examples[1]], optimizer=settings.optimizer, model=model
            )
            rows.append((f"instructions for {doc_type} by {model}, at most", _figures(written)))
    rows.append(("in all, at most", [sum(column) for column in zip(*(one for _, one in rows), strict=True)]))
    head = ["", "calls", "prompt tokens", "completion tokens", "minutes", "cost in US dollars"]
    table = text_table(head, [_row(*row) for row in rows], numbers=set(range(1, len(head))))
    # How long a model thinks is not known before it is asked.
    thinks = any(one is not None and getattr(one.engine, "thinks", False) for one in (lm, prompt_lm))
    thinking = "What a model thinks is paid for like what it writes, and is not counted here. " if thinks else ""
    return (
        f"{len(corpus):,} documents, model {lm.model}\n\n{table}\n\n{thinking}"
        "No model was called and nothing was written. Indexing the documents comes on top, once: about a minute for "
        "each 2,000 documents with the default retriever on two cores."
    )


def _figures(told: Estimate) -> list[float]:
    cost = math.nan if told.cost_usd is None else told.cost_usd
    return [told.calls, told.prompt_tokens, told.completion_tokens, told.minutes, cost]


def _row(label: str, figures: Sequence[float]) -> list[str]:
    calls, sent, received, minutes, cost = figures
    return [
        label,
        f"{calls:,.0f}",
        f"{sent:,.0f}",
        f"{received:,.0f}",
        f"{minutes:.1f}",
        "unknown" if math.isnan(cost) else f"{cost:.2f}",
    ]
