"""The report of ``generate-queries``."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from itertools import islice
from typing import TYPE_CHECKING

from inpars_plus.corpora import Corpus, Document, sample
from inpars_plus.experiments.reports.charts import bars
from inpars_plus.experiments.reports.page import Html, cards, facts, join, page, paragraph, section, table
from inpars_plus.experiments.reports.quality import excerpt, reason_text
from inpars_plus.foundation import Summary

if TYPE_CHECKING:
    from inpars_plus.experiments.generating import Outcome

__all__ = ["generation_report", "verdicts"]

_SAMPLES = 10


def generation_report(summary: Summary, outcome: Outcome, corpus: Corpus) -> str:
    """The whole report as HTML.

    Args:
        summary: of the run.
        outcome: what the ledger says.
        corpus: for the documents of the samples.
    """
    results = summary.results
    types = [[name, f"{row['documents']:,}", f"{row['accepted']:,}"] for name, row in results["by_type"].items()]
    shortfalls = results["documents_short_of_queries"]
    short = ", ".join(f"{count:,} by {missing}" for missing, count in shortfalls.items()) or "none"
    body = [
        cards(
            [
                (f"{results['accepted']:,}", "queries accepted"),
                (f"{results['accepted_share']:.0%}", "of those asked for"),
                (f"{results['documents']:,}", "documents asked about"),
                (f"{results['candidates']:,}", "candidates in the ledger"),
            ]
        ),
        section(
            "What became of the candidates",
            [
                verdicts(results["accepted"], results["reasons"]),
                paragraph(
                    f"Documents with fewer accepted queries than asked for: {short}. Never asked about: "
                    f"{results['empty_documents']:,} with nothing in them, {results['documents_without_metadata']:,} "
                    "without metadata to ask by.",
                    soft=True,
                ),
            ],
        ),
        section("Document types", [table(["type", "documents", "accepted queries"], types, numbers={1, 2})]),
        section("Samples to read", _samples(summary, outcome, corpus)),
        section(
            "How it was made",
            [facts(summary.settings, summary.hashes, summary.lm, summary.seconds, summary.peak_memory_mb)],
        ),
    ]
    lead = "Every accepted query passes all checks and finds its own document in the top 10 of the whole corpus."
    return page("Generated queries", lead, body)


def verdicts(accepted: int, reasons: Mapping[str, int]) -> Html:
    """What became of the candidates of a ledger.

    Args:
        accepted: how many were kept.
        reasons: how many were dropped for each reason, the most frequent first.
    """
    counts = {"accepted": accepted, **reasons}
    meanings = [[reason.replace("_", " "), reason_text(reason)] for reason in reasons]
    return join(
        [
            bars(counts, title="Candidates by verdict", whole=sum(counts.values())),
            table(["reason", "meaning"], meanings) if meanings else Html(""),
        ]
    )


def _samples(summary: Summary, outcome: Outcome, corpus: Corpus) -> list[Html]:
    drawn = sample((one for one in corpus.documents() if one.id in outcome.accepted), _SAMPLES, summary.seed)
    found = [paragraph("Accepted queries, drawn at random.", soft=True)]
    found += [_sample(document, outcome) for document in islice(drawn, _SAMPLES)]
    return found


def _sample(document: Document, outcome: Outcome) -> Html:
    queries = [
        Html(
            f"<p><b>{escape(entry.candidate)}</b> "
            f'<span class="good">rank {entry.scores["rank"]}, score {float(entry.scores["score"] or 0):.2f}</span></p>'
        )
        for entry in outcome.accepted[document.id]
    ]
    return Html(f'<div class="sample">{paragraph(excerpt(document.full_text), soft=True)}{join(queries)}</div>')
