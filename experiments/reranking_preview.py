"""What re-ranking a judged collection would take, told without calling a model.

Calls have formulas. Tokens are those of prompts that are really written, for a few queries; random documents stand in
for those that search would find, so that nothing is indexed, and train queries with their answers for demonstrations.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from inpars_plus.corpora import Query
from inpars_plus.experiments.reranking_bench import RerankingBench
from inpars_plus.experiments.reranking_forms import EXPANSIONS, LIKELIHOOD, program_of
from inpars_plus.experiments.tables import text_table
from inpars_plus.optimizers.prompts.candidates import Candidate, predictor_of
from inpars_plus.optimizers.prompts.estimates import CHARACTERS_PER_TOKEN, cost_of
from inpars_plus.optimizers.prompts.reranking import JudgedList, asks_of, compiling_calls
from inpars_plus.programs.lenient_json import LenientJsonAdapter
from inpars_plus.programs.rerank_prompts import planned_asks
from inpars_plus.programs.rerank_reports import depth_within
from inpars_plus.programs.reranking import MAX_PASSAGE_CHARACTERS, Reranker
from inpars_plus.programs.texts import fit_text
from inpars_plus.signatures.judge_relevance import HIGHEST_GRADE

if TYPE_CHECKING:
    from inpars_plus.experiments.measure_reranking import MeasureSettings

__all__ = ["preview"]

_QUERIES = 3
_DEMONSTRATIONS = 4
_SHORT_REPLY = 16
_TOKENS_A_NUMBER = 4
_LONG_REPLY = 160
"""Of a reply with terms and rephrasings, or with a passage."""


@dataclass(frozen=True)
class _Row:
    """What a form takes: calls and tokens, compiling included."""

    a_query: int
    ranking: int
    compiling: int
    prompt_tokens: float
    reply_tokens: float


def preview(settings: MeasureSettings, bench: RerankingBench) -> str:
    """Calls, tokens and cost of each form and of all, as a table.

    Args:
        settings: of the job.
        bench: the collection; neither its model nor its retriever is asked.
    """
    forms = list(dict.fromkeys(settings.forms))
    rows = [_row(form, settings, bench) for form in forms]
    model = str(bench.bench.lm.model)
    cells = [[form, f"{row.a_query:,}", *_figures(row, model)] for form, row in zip(forms, rows, strict=True)]
    total = _Row(
        0,
        sum(row.ranking for row in rows),
        sum(row.compiling for row in rows),
        sum(row.prompt_tokens for row in rows),
        sum(row.reply_tokens for row in rows),
    )
    cells.append(["in all, at most", "", *_figures(total, model)])
    head = ["form", "calls a query", "ranking calls", "compiling calls", "prompt tokens", "reply tokens"]
    head.append("cost in US dollars")
    table = text_table(head, cells, numbers=set(range(1, len(head))))
    return (
        f"{len(bench.queries):,} judged queries, the first {settings.depth} documents each, model {settings.lm}\n\n"
        f"{table}\n\n"
        f"{total.ranking + total.compiling:,} calls in all, at most. Tokens are about those of {_QUERIES} queries with "
        f"random documents, at {CHARACTERS_PER_TOKEN:g} characters a token.\n"
        "No model was called and nothing was written."
    )


def _figures(row: _Row, model: str) -> list[str]:
    cost = cost_of(model, row.prompt_tokens, row.reply_tokens)
    return [
        f"{row.ranking:,}",
        f"{row.compiling:,}" if row.compiling else "–",
        f"{row.prompt_tokens:,.0f}",
        f"{row.reply_tokens:,.0f}",
        "unknown" if cost is None else f"{cost:.2f}",
    ]


def _row(form: str, settings: MeasureSettings, bench: RerankingBench) -> _Row:
    queries = len(bench.queries)
    sample = random.Random(settings.seed).sample(bench.queries, min(_QUERIES, queries))
    if form in EXPANSIONS:
        predictor = predictor_of(EXPANSIONS[form]())
        prompts = [LenientJsonAdapter().format(predictor.signature, [], {"query": one.text}) for one in sample]
        tokens = _mean_tokens(["\n".join(turn["content"] for turn in turns) for turns in prompts])
        return _Row(1, queries, 0, queries * tokens, queries * _LONG_REPLY)
    passages = _passages(settings, bench)
    if form == LIKELIHOOD:
        a_query = settings.depth if settings.calls is None else min(settings.depth, settings.calls)
        tokens = _mean_tokens([f"{fit_text(one, MAX_PASSAGE_CHARACTERS)}\n{sample[0].text}" for one in passages])
        return _Row(a_query, a_query * queries, 0, a_query * queries * tokens, 0)
    program = program_of(form, settings)
    a_query = program.calls_for(depth_within(program.calls_for, settings.depth, settings.calls))
    ranking, compiling = a_query * queries, 0
    prompt_tokens = ranking * _tokens_a_call(program, sample, passages)
    if settings.compiled:
        compiling = compiling_calls(
            program,
            train=settings.train_queries,
            validation=settings.validation_queries,
            passages=settings.validation_passages,
        )
        shown: Any = _with_demonstrations(program, settings, bench, passages)
        prompt_tokens += ranking * _tokens_a_call(shown, sample, passages)
        prompt_tokens += compiling * _tokens_a_call(shown, sample, passages[: settings.validation_passages])
        ranking *= 2
    reply = _SHORT_REPLY + (_TOKENS_A_NUMBER * min(settings.window, settings.depth) if form == "listwise" else 0)
    return _Row(a_query, ranking, compiling, prompt_tokens, (ranking + compiling) * reply)


def _passages(settings: MeasureSettings, bench: RerankingBench) -> list[str]:
    # Two windows are enough to see what a call takes; all pairs of a hundred passages would be 9,900 prompts.
    wanted = min(max(settings.depth, settings.validation_passages), settings.window + settings.step)
    documents = [one for one in bench.judged.documents if not one.is_empty]
    return [one.full_text for one in random.Random(settings.seed).sample(documents, min(wanted, len(documents)))]


def _with_demonstrations(
    program: Reranker, settings: MeasureSettings, bench: RerankingBench, passages: Sequence[str]
) -> Any:
    lists = []
    for one in bench.drawn[:_DEMONSTRATIONS]:
        shown = (bench.judged.by_id[one.document_ids[0]].full_text, *passages)
        lists.append(JudgedList(one.text, shown, (HIGHEST_GRADE, *[0] * len(passages))))
    asks = asks_of(program, lists, seed=settings.seed)[:_DEMONSTRATIONS]
    return Candidate.of(program).with_demonstrations(asks, predictor_of(program).signature.fields).apply(program)


def _tokens_a_call(program: Reranker, queries: Sequence[Query], passages: Sequence[str]) -> float:
    return _mean_tokens([ask.prompt for query in queries for ask in planned_asks(program, query.text, passages)])


def _mean_tokens(prompts: Sequence[str]) -> float:
    return fmean(map(len, prompts)) / CHARACTERS_PER_TOKEN if prompts else 0.0
