"""Which way of searching suits your documents, told without judgments: ``inpars-plus choose-ranker``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence, Set
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from inpars_plus.corpora import Document, split_documents
from inpars_plus.experiments.agreement import agreement, judged_names
from inpars_plus.experiments.judged import Collection, read_collection
from inpars_plus.experiments.leaks import as_seen, seen_queries, trained_on
from inpars_plus.experiments.own_engines import Selection, without_set_aside
from inpars_plus.experiments.reports.choice_report import choice_report
from inpars_plus.experiments.settings import CorpusSettings, JobSettings, JobText, option, parse_settings
from inpars_plus.experiments.tables import interval, number, text_table
from inpars_plus.experiments.workbench import corpus_of
from inpars_plus.foundation import (
    ConfigurationError,
    InputError,
    Run,
    Summary,
    default_cache_directory,
    say,
    write_summary,
    write_text,
)
from inpars_plus.foundation.summaries import measured
from inpars_plus.optimizers.rankers.choosing import System, choose_system, score_system
from inpars_plus.optimizers.rankers.training_queries import (
    HeldOut,
    held_out_queries,
    read_training_queries,
)
from inpars_plus.retrieval.encoders import load_encoder
from inpars_plus.retrieval.rankers import (
    RankerSpec,
    SharedIndexes,
    load_ranker,
    plain_rankers,
    remove_ranker,
    save_ranker,
)
from inpars_plus.retrieval.stack import Reading, build_stack, remove_stack

__all__ = ["FEWEST_QUERIES", "TEXT", "ChooseSettings", "choose_ranker", "main", "run", "tell"]

TEXT = JobText(
    name="choose-ranker",
    about=(
        "Rank search systems on your documents without judgments, and say which to use and how sure that is: BM25,\n"
        "dense retrieval, their hybrids over a grid of weights, rankers that you trained, runs of your own engine.\n"
        "They are asked for documents by lines that were taken out of them (titles, first sentences), or where there\n"
        "are none, by generated queries. Where a trained ranker takes part, only documents are asked for that no\n"
        "ranker is trained on: those of the test split, which goes by a hash of the id."
    ),
    examples=(
        ("Between BM25, dense and their hybrids", "inpars-plus choose-ranker --corpus notes/ --out runs/notes-choice"),
        (
            "With a trained ranker, ending in a stack to search with",
            "inpars-plus choose-ranker --corpus notes/ --ranker runs/notes-ranker --stack --out runs/notes-choice",
        ),
    ),
)

FEWEST_QUERIES = 20
"""By fewer queries nothing is chosen."""
_DEPTH = 10


class ChooseSettings(JobSettings, CorpusSettings):
    """Settings of ``choose-ranker``."""

    ranker: tuple[Path, ...] = option(
        "directory of a trained ranker or a stack, to be compared too; repeatable", metavar="DIR", default=()
    )
    encoder: tuple[str, ...] = option(
        "encoder beside the embedded one, whose dense retrieval and hybrids are compared too: a sentence-transformers"
        " directory or model id; repeatable",
        metavar="NAME",
        default=(),
    )
    queries: Path | None = option("generated queries: a directory of generate-queries", metavar="DIR", default=None)
    kind: Literal["auto", "held-out", "generated"] = option(
        "queries to choose by; auto takes held-out lines where the documents have them"
    )
    run: tuple[str, ...] = option(
        "run file of your own engine over <out>/selection, which the first command writes; repeatable",
        metavar="NAME=FILE",
        default=(),
    )
    count: int = option("queries at most", metavar="N", ge=FEWEST_QUERIES)
    stack: bool = option("build a search stack of the chosen ranker in <out>/stack")
    judged: str | None = option(
        "human judgments, only to tell how well the choice agrees with them", metavar="DIR[:SPLIT]", default=None
    )
    seen: tuple[Path, ...] = option(
        "queries or programs that a ranker owes something to, to be left out of the judged queries; those of --ranker"
        " and --queries are left out anyway; repeatable",
        metavar="PATH",
        default=(),
    )
    half: Literal["all", "settings", "report"] = option("of the judged queries, all or one half by a hash of the id")


def choose_ranker(settings: ChooseSettings) -> Summary:
    """Rank, choose, and write summary, report, the chosen ranker and the queries.

    Args:
        settings: of the job.

    Returns:
        The summary that was written.

    Raises:
        InParsError: see its kinds.
    """
    with Run(settings.out):
        return _Job(settings).do()


class _Job:
    def __init__(self, settings: ChooseSettings) -> None:
        self.settings = settings
        self._refuse_to_overwrite()
        self.started = time.monotonic()
        self.corpus = corpus_of(settings)
        self.documents = list(self.corpus.documents())
        # Before anything is computed, because judgments that cannot be read would end the job when all is done.
        self.collection = None if settings.judged is None else self._judgments(settings.judged)
        self.names = {} if self.collection is None else judged_names(self.collection, self.corpus)
        self.specs = [*plain_rankers(), *self._of_encoders(), *(load_ranker(path) for path in settings.ranker)]
        names = [spec.name for spec in self.specs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigurationError(
                f"two rankers have the name '{twice}'",
                place="--ranker, --encoder",
                remedy="Give one of them another name; an encoder's is that of its directory",
            )

    def _refuse_to_overwrite(self) -> None:
        """What is written at the end must not take the place of what is read, or of what another command wrote."""
        given, out = self.settings, self.settings.out
        read = [one.resolve() for one in (*given.ranker, *given.seen, *map(Path, given.encoder))]

        def taken(target: Path) -> bool:
            there = target.resolve()
            # Every command leaves a summary in the directory that it is given, and this one none in these two.
            return (there / "summary.json").exists() or any(there in (one, *one.parents) for one in read)

        over = [target for target in (out / "ranker", out / "stack") if taken(target)]
        over += [one for one in given.ranker if one.resolve() == out.resolve()]
        if over:
            raise ConfigurationError(
                "what is chosen would be written over a ranker that is given, or that another command made",
                place=str(over[0]),
                remedy="Name another directory with --out",
            )

    def _of_encoders(self) -> list[RankerSpec]:
        """Untrained rankers of further encoders, which are looked for before anything is computed.

        Raises:
            ConfigurationError: an encoder was tuned on documents, some of which would be asked for.
        """
        for name in self.settings.encoder:
            if trained_on(load_encoder(name).directory):
                raise ConfigurationError(
                    f"the encoder '{name}' was fine-tuned, so it cannot be compared as an untrained one",
                    place="--encoder",
                    remedy="Make a ranker of it with train-ranker --base, and give that with --ranker",
                )
        return [spec for name in self.settings.encoder for spec in plain_rankers(name) if spec.dense_weight]

    def do(self) -> Summary:
        settings, (kind, selection) = self.settings, self.selection
        say(f"{len(selection.queries):,} {kind} queries to choose by, {len(self.specs)} rankers")
        # Titles that are asked for cannot be searched by themselves.
        tried = [spec.without_titles() if kind == "held-out" else spec for spec in self.specs]
        bare = [spec.name for spec, one in zip(self.specs, tried, strict=True) if one != spec]
        more = [spec.name for spec in self.specs if spec.feedback or spec.smoothing]
        systems = self._systems(tried, {*bare, *more}, selection)
        choice = choose_system(systems, seed=settings.seed)
        chosen = next((spec for spec in self.specs if spec.name == choice.name), None)
        results: dict[str, Any] = {
            "chosen": {
                "name": choice.name,
                "dense_weight": None if chosen is None else chosen.dense_weight,
                "sureness": choice.sureness,
            },
            "queries": len(selection.queries),
            "kind": kind,
            "without_titles": bare,
            "feedback_or_smoothing": more,
            "systems": choice.rows,
        }
        self._hand_over(chosen)
        if self.collection is not None:
            results["judged"] = agreement(self.collection, self.names, self.documents, self.specs, choice, settings.out)
        summary = measured(
            self.started,
            settings=settings.model_dump(mode="json"),
            seed=settings.seed,
            hashes={"corpus": self.corpus.digest()},
            results=results,
        )
        write_summary(settings.out, summary)
        write_text(settings.out / "report.html", choice_report(summary, [query.text for query in selection.queries]))
        return summary

    @cached_property
    def selection(self) -> tuple[str, HeldOut]:
        """The kind of queries, and they with the corpus that they are asked of."""
        settings = self.settings
        eligible: Sequence[Document] = self.documents
        if any(spec.trained for spec in self.specs):
            eligible = split_documents(self.documents, self.corpus).test
        ids = {document.id for document in eligible}
        held_out = None
        if settings.kind != "generated":
            learned = {document.id for document in self.documents} - ids
            held_out = held_out_queries(
                self.documents, eligible, count=settings.count, seed=settings.seed, set_aside=learned
            )
        if held_out is not None:
            return "held-out", held_out
        if settings.kind == "held-out" or settings.queries is None:
            raise InputError(
                "too few documents have a line that can be taken out and asked for",
                place="--corpus",
                remedy="Give generated queries with --queries DIR, as inpars-plus generate-queries writes them",
            )
        read = read_training_queries(settings.queries, self.documents)
        found = [query for query in read if set(query.document_ids) <= ids][: settings.count]
        if len(found) < FEWEST_QUERIES:
            raise InputError(
                f"{len(found)} of {len(read):,} generated queries are of documents that no ranker was trained on, "
                f"but {FEWEST_QUERIES} are needed",
                place=str(settings.queries),
                remedy="Generate queries for more documents, or choose between untrained rankers, without --ranker"
                if settings.ranker
                else "Generate queries for more documents",
            )
        return "generated", HeldOut(tuple(found), tuple(self.documents))

    def _hand_over(self, chosen: RankerSpec | None) -> None:
        """Save what was chosen; for an engine that is not ours, take away what an earlier choice left in its place."""
        settings = self.settings
        ranker, stack = settings.out / "ranker", settings.out / "stack"
        if chosen is None:
            remove_ranker(ranker)
            if settings.stack:
                remove_stack(stack, self.documents)
        else:
            save_ranker(chosen, ranker)
        if not settings.stack and stack.is_dir():
            say(f"{stack} is of an earlier choice; --stack makes it anew")
        if chosen is None:
            return
        if settings.stack:
            reading = Reading(
                fields=settings.field_map,
                max_characters=settings.max_characters,
                language=settings.language,
                encoding=settings.encoding,
                named=len(self.corpus.names) > 1,
            )
            build_stack(stack, chosen, self.documents, reading=reading)

    def _systems(self, specs: Sequence[RankerSpec], understated: Set[str], selection: HeldOut) -> list[System]:
        own = Selection(selection, self.settings.out / "selection")
        own.write()
        # First, because a run that will not do is told sooner than anything is encoded.
        others = own.systems(self.settings.run, taken=[spec.name for spec in specs])
        texts = [query.text for query in selection.queries]
        depth = _DEPTH + max((len(query.set_aside) for query in selection.queries), default=0)
        indexes = SharedIndexes(selection.documents, cache_directory=default_cache_directory())
        rankers = [
            # Among equals the simpler one: fewer retrievers, then nearer to equal weights.
            score_system(
                spec.name,
                without_set_aside(indexes.ranker(spec).search(texts, depth), selection.queries),
                selection.queries,
                preference=-len(spec.components) - abs((spec.dense_weight or 0.5) - 0.5),
                understated=spec.name in understated,
            )
            for spec in specs
        ]
        return [*rankers, *others]

    def _judgments(self, given: str) -> Collection | None:
        """Judged queries without those that something was trained on or chosen by; ``None`` where none is left."""
        settings = self.settings
        seen = seen_queries([*settings.seen, *settings.ranker])
        if settings.queries is not None:
            read = read_training_queries(settings.queries, self.documents)
            seen |= as_seen((query.text for query in read), str(settings.queries))
        collection = read_collection(given, half=settings.half, seen=seen, drop_seen=True, may_be_empty=True)
        left_out = collection.counts["seen_queries_left_out"]
        if not collection.queries:
            # They only tell of the choice, which is no worse without them.
            say(
                f"{given}: all {left_out:,} judged queries were trained on, shown or chosen by, so the choice is not "
                "compared with them"
            )
            return None
        if left_out:
            say(f"{given}: {left_out:,} queries that were trained on, shown or chosen by are left out")
        return collection


def tell(settings: ChooseSettings, summary: Summary) -> str:
    """The table for a terminal."""
    results = summary.results
    judged = results.get("judged", {})
    rows = []
    for name, row in results["systems"].items():
        cells = [name, number(row["ndcg@10"]), f"[{row['low']:.3f}, {row['high']:.3f}]", interval(row["less_chosen"])]
        rows.append([*cells, f"{row['best']:.0%}", *([number(judged["ndcg@10"].get(name))] if judged else [])])
    head = ["", "nDCG@10", "interval", "less chosen", "best in", *(["by people"] if judged else [])]
    chosen = results["chosen"]
    weight = "" if chosen["dense_weight"] is None else f", dense weight {chosen['dense_weight']:.1f}"
    first = next(iter(results["systems"]))
    more = f",\n         and has more than these queries show, and is not shown to be worse than {first}"
    why = "" if first == chosen["name"] else more
    said = (
        f"\n{results['queries']:,} {results['kind']} queries\n\n"
        f"{text_table(head, rows, numbers=set(range(1, len(head))))}\n\n"
        f"use:     {chosen['name']}{weight}; it is the best in {chosen['sureness']:.0%} of resamples of the queries"
        f"{why}"
    )
    if judged:
        behind = "" if judged["behind_best"] is None else f", {judged['behind_best']:.3f} behind the best"
        seen = judged["seen_queries_left_out"]
        note = f" without {seen:,} that were seen in training" if seen else ""
        said += (
            f"\npeople:  {judged['queries']:,} judged queries{note}, best is {judged['best']}{behind}; "
            f"Kendall's tau {number(judged['kendall_tau'])} (p = {number(judged['kendall_p'])})"
        )
    if results["without_titles"]:
        bare = ", ".join(results["without_titles"])
        said += f"\ntitles:  not searched by themselves here, because they are asked for: {bare}"
    if results["feedback_or_smoothing"]:
        names = ", ".join(results["feedback_or_smoothing"])
        said += (
            f"\nanswers: one to nearly every query, where feedback and smoothing show least of what they do: {names}"
        )
    out = settings.out
    if chosen["name"] in {given.partition("=")[0] for given in settings.run}:
        nothing = "neither a ranker is written nor a stack built" if settings.stack else "no ranker is written"
        said += f"\nranker:  your own engine was chosen, so {nothing}"
    else:
        said += f"\nstack:   {out / 'stack'}" if settings.stack else ""
        said += f"\nranker:  {out / 'ranker'}"
    return f"{said}\nreport:  {out / 'report.html'}\nsummary: {out / 'summary.json'}"


def run(arguments: Sequence[str]) -> None:
    """The job, from its flags."""
    settings = parse_settings(ChooseSettings, TEXT, arguments)
    print(tell(settings, choose_ranker(settings)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this job; returns the exit code."""
    from inpars_plus.experiments.cli import run_job

    return run_job(TEXT.name, arguments)


if __name__ == "__main__":
    sys.exit(main())
