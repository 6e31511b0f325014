"""Compiling re-ranking programs: demonstrations from judged passages, kept only where validation queries rank better.

The harness for query generators does not fit: it has documents without labels, and checks instead of judgments. Here
there are labels. The steps:

1. From each train query, asks with a known answer are made: a passage and its grade, a pair and the better one, a short
   list and its order. Relevant documents are those that answer the query, hard negatives those that search takes for
   answers.
2. Sets of demonstrations: some of these asks as they are, and what DSPy's BootstrapFewShot makes of them (the program's
   own replies where the metric passes them, filled up with labels).
3. Every set, and none, ranks the same validation lists; the set with the highest mean nDCG@10 is taken, and none if no
   set is better than none.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.teleprompt import BootstrapFewShot

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.files import digest
from inpars_plus.foundation.progress import bar
from inpars_plus.lms.failures import to_raise
from inpars_plus.lms.quiet import quiet, quiet_logs
from inpars_plus.metrics.ranking_metric import RankingMetric
from inpars_plus.optimizers.prompts.candidates import Candidate, one_ask, predictor_of
from inpars_plus.optimizers.prompts.evaluation import generate_all
from inpars_plus.optimizers.prompts.request_watch import RequestWatch
from inpars_plus.optimizers.prompts.watch import Halt, Watch, WatchedProgram
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery
from inpars_plus.programs.cards import MetricRecord, OptimizerRecord, ProgramCard, Scores
from inpars_plus.programs.lenient_json import LenientJsonAdapter
from inpars_plus.programs.reranking import Reranker
from inpars_plus.programs.texts import fit_text
from inpars_plus.retrieval.protocol import Retriever
from inpars_plus.signatures.compare_passages import ComparePassages, PassagePreference
from inpars_plus.signatures.judge_relevance import HIGHEST_GRADE, JudgeRelevance, RelevanceGrade
from inpars_plus.signatures.rank_passages import PassageOrder, RankPassages, numbered

__all__ = [
    "CompiledReranker",
    "JudgedList",
    "asks_of",
    "compile_reranker",
    "compiling_calls",
    "judged_lists",
    "metric_for",
]

_LISTED = 4
_SHOWN_CHARACTERS = 600
"""Of a passage in a demonstration: every later question has all demonstrations above it."""
_UNLIMITED_ERRORS = 10**9


@dataclass(frozen=True)
class JudgedList:
    """A query and passages whose relevance is known.

    Attributes:
        query: its text.
        passages: in the order of the first stage.
        grades: of each passage, 0 to 3.
    """

    query: str
    passages: tuple[str, ...]
    grades: tuple[int, ...]


@dataclass(frozen=True)
class CompiledReranker:
    """What compiling gives.

    Attributes:
        program: the compiled program; the student itself, copied, where nothing was better.
        origin: of its demonstrations: ``none``, ``labelled 1``, ``bootstrapped 1`` and so on.
        trials: origin → mean nDCG@10 on the validation lists.
        lists: how many validation lists these are.
        calls: LM calls.
        seconds: wall-clock time.
        lm: the model that the program was compiled for.
        seed: of everything random.
        data_hash: digest of the lists.
    """

    program: Reranker
    origin: str
    trials: Mapping[str, float]
    lists: int
    calls: int
    seconds: float
    lm: str
    seed: int
    data_hash: str

    def card(self, document_type: str, *, test: Scores | None = None) -> ProgramCard:
        """The description that ``save_program`` takes.

        Args:
            document_type: of the documents that were ranked.
            test: mean nDCG@10 on test queries, before and after; ``None`` where nobody measured it.
        """
        return ProgramCard(
            document_type=document_type,
            lm=self.lm,
            adapter=LenientJsonAdapter.__name__,
            optimizer=OptimizerRecord(name="bootstrap", settings={"demonstrations": self.origin}),
            seed=self.seed,
            metric=MetricRecord(
                name="nDCG@10",
                validation=Scores(before=self.trials["none"], after=self.trials[self.origin]),
                test=test or Scores(),
            ),
            data_hash=self.data_hash,
        )


def judged_lists(
    queries: Sequence[TrainingQuery], retriever: Retriever, documents: Mapping[str, Document], *, depth: int
) -> list[JudgedList]:
    """What search finds for queries with known answers.

    Queries of which search finds no answer, or nothing but answers, are left out: no order of what was found is better
    than another. What is not known to be an answer counts as none.

    Args:
        queries: judged by people, or generated for the documents that answer them.
        retriever: the first stage.
        documents: by id.
        depth: passages of a list.
    """
    found = []
    for query, ranking in zip(queries, retriever.search([one.text for one in queries], depth), strict=True):
        answers = set(query.document_ids)
        grades = tuple(HIGHEST_GRADE if name in answers else 0 for name in ranking.ids)
        if len(set(grades)) == 2:
            passages = tuple(documents[name].full_text for name in ranking.ids)
            found.append(JudgedList(query.text, passages, grades))
    return found


def metric_for(program: Reranker) -> RankingMetric:
    """What a program's single asks are measured by: grades, pairs or the order of a list.

    Raises:
        ConfigurationError: the program is none of the three forms.
    """
    metrics = {
        JudgeRelevance: RankingMetric("grades", threshold=0.6),  # one grade off at most
        ComparePassages: RankingMetric("pairs", threshold=0.99),
        RankPassages: RankingMetric("ndcg", threshold=0.99),
    }
    return metrics[_task(program)]


def _task(program: Reranker) -> type[dspy.Signature]:
    signature = predictor_of(program).signature
    for task in (JudgeRelevance, ComparePassages, RankPassages):
        if list(task.fields) == list(signature.fields):
            return task
    raise ConfigurationError(
        "only a pointwise, pairwise or listwise re-ranker can be compiled here",
        place=f"program '{type(program).__name__}'",
    )


def asks_of(program: Reranker, lists: Sequence[JudgedList], *, seed: int) -> list[dspy.Example]:
    """Single asks with their answers, as the program asks them, from lists.

    Args:
        program: of one of the three forms.
        lists: with at least one passage above another one.
        seed: of the places of passages.

    Returns:
        Examples with the inputs ``query`` and ``passages``, the ``grades`` of these, and the fields of the signature.
        For the pointwise form two a list, the best passage and the first that is worse; else one a list.
    """
    rng, task = random.Random(seed), _task(program)
    found = []
    for one in lists:
        best = max(range(len(one.grades)), key=lambda position: one.grades[position])
        worse = [position for position, grade in enumerate(one.grades) if grade < one.grades[best]]
        if not worse:
            continue
        if task is JudgeRelevance:
            found += [_ask(one, [best]), _ask(one, [worse[0]])]
            continue
        shown = [best, *worse[: 1 if task is ComparePassages else _LISTED - 1]]
        rng.shuffle(shown)
        found.append(_ask(one, shown))
    return found


def _ask(judged: JudgedList, shown: Sequence[int]) -> dspy.Example:
    passages = [fit_text(judged.passages[position], _SHOWN_CHARACTERS) for position in shown]
    grades = [judged.grades[position] for position in shown]
    fields: dict[str, Any] = {"query": judged.query, "passages": passages, "grades": grades}
    if len(shown) == 1:
        fields |= {"passage": passages[0], "judgment": RelevanceGrade.model_validate(grades[0])}
    elif len(shown) == 2:
        better = PassagePreference.model_validate("first" if grades[0] > grades[1] else "second")
        fields |= {"first_passage": passages[0], "second_passage": passages[1], "preference": better}
    if len(shown) > 1:
        best_first = sorted(range(len(shown)), key=lambda place: -grades[place])
        ranking = PassageOrder(order=[place + 1 for place in best_first])
        fields |= {"numbered_passages": numbered(passages), "ranking": ranking}
    return dspy.Example(**fields).with_inputs("query", "passages")


def compiling_calls(program: Reranker, *, train: int, validation: int, passages: int, sets: int = 2) -> int:
    """How many LM calls :func:`compile_reranker` makes at most.

    Args:
        program: the student.
        train: lists to learn from.
        validation: lists to choose by.
        passages: of a validation list.
        sets: of each kind of demonstrations.
    """
    shown = {JudgeRelevance: 1, ComparePassages: 2, RankPassages: _LISTED}[_task(program)]
    asks = (2 if shown == 1 else 1) * train * program.calls_for(shown)
    return sets * asks + (1 + 2 * sets) * validation * program.calls_for(passages)


def compile_reranker(
    student: Reranker,
    *,
    train: Sequence[JudgedList],
    validation: Sequence[JudgedList],
    lm: dspy.BaseLM,
    demonstrations: int = 4,
    sets: int = 2,
    seed: int = 0,
    threads: int = 16,
) -> CompiledReranker:
    """Give a re-ranking program demonstrations, if they make it better.

    Args:
        student: a program without demonstrations; it is not changed.
        train: lists to learn from.
        validation: lists to choose by, of other queries.
        lm: the model that the program is compiled for. It alone is asked, also where the student has one of its own.
        demonstrations: how many a prompt shows at most.
        sets: of each kind of demonstrations that are tried.
        seed: of everything random.
        threads: calls at once.

    Returns:
        The program, without a model of its own, never one that ranks the validation lists worse than the student.

    Raises:
        ConfigurationError: there is nothing to learn from or to choose by, or no such form.
        DeadModelError: a request failed, or no reply of a chat model can be read; what a model with a reply store
            answered is not asked again.
        SpendingCapError: the cap is reached.
    """
    started = time.monotonic()
    asks = asks_of(student, train, seed=seed)
    if not asks or not validation or demonstrations < 1:
        raise ConfigurationError(
            f"a re-ranker cannot be compiled with {demonstrations} demonstrations of {len(train)} train lists and "
            f"{len(validation)} validation lists",
            remedy="Give judged queries whose answers search finds, and 1 demonstration or more",
        )
    calls = compiling_calls(
        student,
        train=len(train),
        validation=len(validation),
        passages=max(len(one.passages) for one in validation),
        sets=sets,
    )
    candidates = {"none": Candidate.of(student)}
    fields = predictor_of(student).signature.fields
    with bar(f"Compiling a {type(student).__name__}", calls) as progress:
        # A re-ranker takes a failed request for a reply without meaning: chosen by those, demonstrations mean nothing.
        watch = RequestWatch(model=str(lm.model), on_call=progress.update, read_of=lm)
        with watch.to_the_end():
            # Without demonstrations first: a model may be readable so, and not behind demonstrations.
            known: dict[str, float] = {}
            _scored(student, candidates, validation, lm, watch, threads, known)
            for number in range(1, sets + 1):
                drawn = _shuffled(student, train, seed=seed + 1_000 * number)
                labelled = candidates["none"].with_demonstrations(drawn[:demonstrations], fields)
                candidates[f"labelled {number}"] = labelled
                candidates[f"bootstrapped {number}"] = _bootstrapped(student, drawn, lm, watch, demonstrations)
            trials = _scored(student, candidates, validation, lm, watch, threads, known)
    # The first of equal ones, and that is none.
    origin = max(trials, key=lambda name: trials[name])
    program: Any = candidates[origin].apply(student)
    return CompiledReranker(
        program,
        origin,
        trials,
        len(validation),
        watch.calls,
        time.monotonic() - started,
        lm=str(lm.model),
        seed=seed,
        data_hash=digest([_digest_of(train), _digest_of(validation)]),
    )


def _digest_of(lists: Sequence[JudgedList]) -> str:
    return digest([[one.query, list(one.passages), list(one.grades)] for one in lists])


def _shuffled(student: Reranker, train: Sequence[JudgedList], *, seed: int) -> list[dspy.Example]:
    """Asks in another order; those of one list stay together, so that good and bad passages take turns."""
    lists = list(train)
    random.Random(seed).shuffle(lists)
    return asks_of(student, lists, seed=seed)


def _bootstrapped(
    student: Reranker, asks: Sequence[dspy.Example], lm: dspy.BaseLM, watch: Watch, demonstrations: int
) -> Candidate:
    metric = metric_for(student)
    fresh = one_ask(student)  # not compiled, or DSPy would hide its predictor
    optimizer = BootstrapFewShot(
        metric=metric,
        metric_threshold=metric.threshold,  # DSPy takes any truthy score for a success
        max_bootstrapped_demos=max(1, demonstrations // 2),
        max_labeled_demos=demonstrations,
        max_errors=_UNLIMITED_ERRORS,
    )
    callbacks = [*dspy.settings.callbacks, watch]
    with dspy.context(lm=lm, callbacks=callbacks, disable_history=True), quiet(), quiet_logs():
        try:
            compiled = optimizer.compile(WatchedProgram(fresh, watch), trainset=list(asks))
        except Halt:
            raise
        except Exception as error:
            raise to_raise(error, model=str(lm.model)) from error
    return Candidate.of(compiled.program)


def _scored(
    student: Reranker,
    candidates: Mapping[str, Candidate],
    validation: Sequence[JudgedList],
    lm: dspy.BaseLM,
    watch: Watch,
    threads: int,
    by_key: dict[str, float],
) -> dict[str, float]:
    """The score of each candidate by its name; ``by_key`` has those that are known, and gets the others."""
    metric = RankingMetric("ndcg")
    examples = [
        dspy.Example(query=one.query, passages=list(one.passages), grades=one.grades, threads=1).with_inputs(
            "query", "passages", "threads"
        )
        for one in validation
    ]
    scores: dict[str, float] = {}
    for name, candidate in candidates.items():
        if candidate.key not in by_key:
            program = candidate.apply(student)
            found = generate_all([(program, one) for one in examples], lm, threads=threads, watch=watch)
            values = [metric.score(one, prediction) for one, prediction in zip(examples, found, strict=True)]
            by_key[candidate.key] = sum(values) / len(values)
        scores[name] = by_key[candidate.key]
    return scores
