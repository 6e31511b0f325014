"""What rankers learn from and are chosen by: queries, each with the document that answers it. No label of a person.

There are two kinds. *Generated* queries are what a compiled program wrote and the checks let pass. *Held-out* ones are
written by whoever wrote the documents: the title, or the first line that reads as text, is taken out of the document
and asked for. They tell which of two ways of searching suits a corpus better than generated ones do, which lean on the
document's own words and so on BM25 (``docs/rankers.md`` has the figures); in documents of a single sentence there are
none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inpars_plus.corpora import Document, Judgment, Query, read_judgments, read_queries, sample, write_beir
from inpars_plus.foundation.errors import CorpusError
from inpars_plus.foundation.files import JSON, digest
from inpars_plus.metrics.words import words
from inpars_plus.retrieval.passages import passages_of

__all__ = [
    "HeldOut",
    "TrainingQuery",
    "held_out_queries",
    "queries_digest",
    "read_training_queries",
    "write_training_queries",
]

_FEWEST_WORDS, _MOST_WORDS = 3, 25
_LEFT = 5
"""Words that a document must keep."""
_MARKS = "\"'`#/*-=~ \t"
_READABLE = re.compile(r"[^\W_]|[\s',.?!;:’()-]")
_PROSE = 0.97
_CALL = re.compile(r"\w\(|\)\s*:|::|->|\w\.\w+\(")
_USABLE_SHARE = 0.5
_FEWEST = 30
_MOST_SET_ASIDE = 50
"""They are taken out of rankings, and a fused ranker sums only the first 100 of each part: enough must be left."""


@dataclass(frozen=True)
class TrainingQuery:
    """A query and the document that answers it.

    Attributes:
        id: unique among those that it is used with.
        text: of the query.
        document_ids: of the documents that answer it; one, but for a title that several documents have.
        set_aside: of documents that answer it too, but must not count: finding them is neither right nor wrong.
    """

    id: str
    text: str
    document_ids: tuple[str, ...]
    set_aside: tuple[str, ...] = ()


def queries_digest(queries: Iterable[TrainingQuery]) -> str:
    """The content of some queries, in order."""
    return digest([[one.id, one.text, *one.document_ids] for one in queries])


@dataclass(frozen=True)
class HeldOut:
    """Queries that were taken out of their documents, and the corpus without them.

    Attributes:
        queries: one for each document that lost a line.
        documents: the whole corpus, in its order.
    """

    queries: tuple[TrainingQuery, ...]
    documents: tuple[Document, ...]


def read_training_queries(directory: Path, corpus: Iterable[Document]) -> list[TrainingQuery]:
    """What ``generate-queries`` wrote, or any directory in BEIR's layout with ``qrels/train.tsv``.

    Queries and documents are paired by their ids, never by their place in a file.

    Args:
        directory: with ``queries.jsonl`` and ``qrels/train.tsv``.
        corpus: the documents.

    Returns:
        The queries that have an answer, each with all of its answers, by query id.

    Raises:
        CorpusError: a file is missing or malformed, or a judgment is of an unknown query or document, or a query is
            blank; it names the first.
    """
    texts = {query.id: query.text for query in read_queries(directory / "queries.jsonl")}
    place = str(directory / "qrels" / "train.tsv")
    known = {document.id for document in corpus}
    answers: dict[str, list[str]] = {}
    for judgment in read_judgments(directory / "qrels" / "train.tsv"):
        if judgment.grade <= 0:
            continue
        text = texts.get(judgment.query_id)
        if text is None:
            raise CorpusError(
                f"the query '{judgment.query_id}' is judged, but not in queries.jsonl",
                place=place,
                remedy="Give the two files of one run",
            )
        if not words(text):
            raise CorpusError(f"the query '{judgment.query_id}' is blank", place=str(directory / "queries.jsonl"))
        if judgment.document_id not in known:
            raise CorpusError(
                f"the document '{judgment.document_id}' is judged, but not in the corpus",
                place=place,
                remedy="Give the corpus that the queries were written for",
            )
        answers.setdefault(judgment.query_id, []).append(judgment.document_id)
    return [TrainingQuery(name, texts[name], tuple(answers[name])) for name in sorted(answers)]


def write_training_queries(
    directory: Path,
    queries: Iterable[TrainingQuery],
    *,
    documents: Iterable[Document] | None = None,
    split: str = "train",
    corpus_reference: Mapping[str, JSON] | None = None,
) -> None:
    """Write queries and their answers as ``generate-queries`` does, so that jobs take them.

    Args:
        directory: made when missing; its files are replaced.
        queries: with unique ids and all of their answers, as :func:`read_training_queries` gives them back.
        documents: the corpus, where it is to be written too.
        split: the name of the file of answers; jobs learn from ``train`` alone.
        corpus_reference: which corpus the queries belong to, such as ``Corpus.reference()``.

    Raises:
        CorpusError: two queries have the same id.
        RunError: the disk is full, or the directory cannot be written.
    """
    kept = list(queries)
    write_beir(
        directory,
        documents=documents,
        queries=[Query(id=one.id, text=one.text) for one in kept],
        judgments=[Judgment(query_id=one.id, document_id=answer) for one in kept for answer in one.document_ids],
        split=split,
        corpus_reference=corpus_reference,
    )


def held_out_queries(
    corpus: Sequence[Document],
    candidates: Sequence[Document],
    *,
    count: int,
    seed: int,
    avoid: Collection[str] = (),
    set_aside: Collection[str] = (),
) -> HeldOut | None:
    """Take a line out of some documents, to be asked for.

    A title that other documents have too is taken out of all of them, and each of them answers it. Another line that
    other documents have too, such as a form of address, is passed over for the next one.

    Args:
        corpus: all documents, read more than once.
        candidates: those that may lose a line.
        count: how many at most.
        seed: draws them.
        avoid: ids of documents that must not answer any of them: what is learned here is tried on those.
        set_aside: ids of documents whose answers must not count: what is tried here was learned from those. A title
            that they share with a candidate is still asked for, unless more than 50 of them have it.

    Returns:
        The queries and the corpus without these lines; ``None`` where fewer than half of the documents, or fewer than
        30 (``count``, if that is less), have a line that can be spared.
    """
    drawn = sample((document for document in candidates if not document.is_empty), 2 * count, seed)
    common = _common(corpus, drawn)
    taken = {document.id: (document, line) for document in drawn if (line := _spared(document, common)) is not None}
    fewest = min(_FEWEST, count)
    if len(taken) < max(fewest, _USABLE_SHARE * len(drawn)):
        return None
    queries: list[TrainingQuery] = []
    without: dict[str, Document] = {}
    namesakes: dict[str, list[Document]] = {}
    for document in corpus:
        if document.title:
            namesakes.setdefault(document.title, []).append(document)
    for document, (query, rest) in taken.values():
        if document.id in without or len(queries) == count:
            continue
        # Where the line is the title, every document of that title loses it.
        others = namesakes[document.title] if document.title and not rest.title else [document]
        aside = tuple(one.id for one in others if one.id in set_aside)
        if len(aside) > _MOST_SET_ASIDE or any(one.id in avoid for one in others):
            continue
        without |= {one.id: one.model_copy(update={"title": ""}) for one in others if one is not document}
        without[document.id] = rest
        answers = tuple(one.id for one in others if one.id not in set_aside)
        queries.append(TrainingQuery(f"title {document.id}", query, answers, aside))
    if len(queries) < fewest:
        return None
    return HeldOut(tuple(queries), tuple(without.get(one.id, one) for one in corpus))


def _common(corpus: Iterable[Document], drawn: Iterable[Document]) -> set[str]:
    """Lines of the drawn documents that another document has too, in the form of :func:`_key`."""
    lines = {
        _key(passage)
        for document in drawn
        # Nothing else of a document is asked for where its title can be.
        if (first := _spared(document)) is not None and (first[1].title or not document.title)
        for passage in passages_of(document)
    }
    counts: Counter[str] = Counter()
    for document in corpus if lines else ():
        counts.update(lines.intersection(map(_key, passages_of(document))))
    return {line for line, count in counts.items() if count > 1}


def _key(passage: str) -> str:
    return passage.strip(_MARKS).casefold()


def _spared(document: Document, common: Collection[str] = ()) -> tuple[str, Document] | None:
    """A line of a document as a query, and the document without it."""
    for passage in passages_of(document):
        query = passage.strip(_MARKS)
        if not _reads_as_text(query):
            continue
        title = passage == document.title.strip()
        if not title and _key(passage) in common:
            continue
        if title:
            rest = document.model_copy(update={"title": ""})
        elif query in document.text:
            rest = document.model_copy(update={"text": document.text.replace(query, " ", 1)})
        else:
            continue  # put together from several lines
        return (query, rest) if len(words(rest.full_text)) >= _LEFT else None
    return None


def _reads_as_text(line: str) -> bool:
    readable = sum(bool(_READABLE.match(mark)) for mark in line)
    count = len(words(line))
    return _FEWEST_WORDS <= count <= _MOST_WORDS and readable >= _PROSE * len(line) and not _CALL.search(line)
