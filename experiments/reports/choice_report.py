"""The report of ``choose-ranker``."""

from __future__ import annotations

from collections.abc import Sequence

from inpars_plus.experiments.reports.charts import Dot, dots, gains
from inpars_plus.experiments.reports.page import cards, details, facts, page, paragraph, section, table
from inpars_plus.experiments.tables import interval, number
from inpars_plus.foundation import Summary

__all__ = ["choice_report"]

_SHOWN = 12


def choice_report(summary: Summary, queries: Sequence[str]) -> str:
    """The page.

    Args:
        summary: of the choice.
        queries: that it was made by.
    """
    results = summary.results
    chosen, systems, judged = results["chosen"], results["systems"], results.get("judged", {})
    one_answer = "Nearly all queries have one answer, where feedback and smoothing show least of what they do"
    understated = {
        "Without the part over titles alone here, which are asked for": results["without_titles"],
        one_answer: results["feedback_or_smoothing"],
    }
    figures = [
        (chosen["name"], "to use"),
        (f"{chosen['sureness']:.0%}", "of resamples of the queries have it first"),
        (f"{results['queries']:,}", f"{results['kind']} queries"),
    ]
    if judged:
        figures.append((number(judged["kendall_tau"]), "Kendall's tau with people's ranking"))
    rows = [
        [
            name,
            number(row["ndcg@10"]),
            interval(row["less_chosen"]),
            f"{row['best']:.0%}",
            *([number(judged["ndcg@10"].get(name))] if judged else []),
        ]
        for name, row in systems.items()
    ]
    head = ["", "nDCG@10", "less chosen", "best in", *(["by people"] if judged else [])]
    body = [
        cards(figures),
        dots([Dot(name, row["ndcg@10"], row["low"], row["high"]) for name, row in systems.items()], title="nDCG@10"),
        table(head, rows, numbers=set(range(1, len(head))), strong={0}),
        paragraph("Each system less the chosen one, on the same queries:", soft=True),
        gains(
            [
                Dot(name, row["less_chosen"]["score"], row["less_chosen"]["low"], row["less_chosen"]["high"])
                for name, row in systems.items()
                if name != chosen["name"]
            ],
            title="nDCG@10 less that of the chosen system",
        ),
        *(
            paragraph(f"{why}: {', '.join(names)}. So it is used unless it is shown to be worse.", soft=True)
            for why, names in understated.items()
            if names
        ),
        details("Some of the queries", "\n".join(queries[:_SHOWN])),
    ]
    lead = (
        "Search systems ranked without judgments. Held-out queries are titles and first sentences that were taken out "
        "of their documents; each system is asked for these documents."
    )
    how = facts(summary.settings, summary.hashes, summary.lm, summary.seconds, summary.peak_memory_mb)
    return page("Which way of searching suits these documents", lead, [*body, section("How it was made", [how])])
