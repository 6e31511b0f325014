"""Tests of the query checks: each fails what it is for, and passes what people type."""

from __future__ import annotations

import pytest

from inpars_plus.corpora.documents import Document
from inpars_plus.metrics.checks import REASONS, check_query, copied_share, is_near_duplicate, own_words_share

TIDES = Document(
    id="tides",
    title="Why the sea rises twice a day",
    text="The moon pulls the ocean towards itself, and on the far side of the earth the water is left behind. "
    "So every harbour sees two high tides a day, about twelve hours apart.",
)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "empty"),
        (" … ?", "empty"),
        ("why do tides\nhappen twice", "not_one_line"),
        ("high tides", "too_short"),
        (" ".join(f"word{number}" for number in range(21)), "too_long"),
        ("how the moon and the", "unfinished"),
        ("tides are caused by", "unfinished"),
        ("why do tides rise, fall,", "unfinished"),
        ("why do tides (in the harbour rise", "unfinished"),
        ("tides or tides or other tides", "repeated_word"),
        ("tide-gauge, tide-table and tide-pool", "repeated_word"),
        ("lunar gravity, sea level, harbour", "term_list"),
        ("why do <b>tides</b> rise", "markup"),
        ("why do **tides** rise twice", "markup"),
        ("1. why do tides rise", "markup"),
        ("what does this document say of tides", "meta_talk"),
        ("what did the authors find about tides", "meta_talk"),
        ("Query: cause of ocean tides", "meta_talk"),
        ("it is caused by lunar gravity", "not_self_contained"),
        ("what are they caused by", "not_self_contained"),
        ("warum gibt es zweimal am Tag Flut", "wrong_language"),
        ("لماذا يرتفع البحر مرتين في اليوم", "wrong_language"),
        ("why the moon pulls the ocean towards itself", "copied"),
        ("twice a day", "copied"),
        ("what is the sea rises", "contiguous_span"),
        ("does harbour see high tides", None),
        ("what makes the tide come in twice every day", None),
        ("Which folder is my lunar calendar in?", None),
        ("Gravity of the moon causes tides.", None),
        ("what causes ebb, flow, and spring tides in winter", None),
    ],
)
def test_a_query_fails_the_check_it_should(query: str, reason: str | None) -> None:
    assert check_query(query, TIDES) == reason


def test_every_reason_has_a_sentence() -> None:
    assert all(sentence and not sentence.endswith(".") for sentence in REASONS.values())


def test_the_limits_themselves_pass() -> None:
    assert check_query("lunar gravity effects", TIDES) is None
    assert check_query(" ".join(f"word{number}" for number in range(20)), TIDES) is None


def test_copying_is_counted_in_four_grams() -> None:
    assert copied_share("the moon pulls the ocean", TIDES) == 1.0
    assert copied_share("see how the moon pulls the boats", TIDES) == pytest.approx(1 / 4)
    assert copied_share("lunar gravity and the sea level", TIDES) == 0.0


def test_a_short_query_is_compared_whole() -> None:
    assert copied_share("two high tides", TIDES) == 1.0
    assert copied_share("two low tides", TIDES) == 0.0


def test_a_query_without_words_copies_nothing() -> None:
    assert copied_share("?!", TIDES) == 0.0


def test_near_duplicates_share_most_content_words() -> None:
    assert is_near_duplicate("what causes ocean tides", "ocean tides: what causes them")
    assert not is_near_duplicate("what causes ocean tides", "how often is high water in a harbour")


def test_a_duplicate_is_named_only_beside_its_twin() -> None:
    query = "what makes the tide come in"
    assert check_query(query, TIDES, others=["when will the tide make it in"]) is None
    assert check_query(query, TIDES, others=["what makes a tide come in"]) == "duplicate"


def test_own_words_are_those_whose_stem_the_document_lacks() -> None:
    assert own_words_share("lunar gravity and harbours", TIDES) == pytest.approx(2 / 3)
    assert own_words_share("what is the role of tides in harbours", TIDES) == 0.0
    assert own_words_share("what is it", TIDES) == 0.0


def test_a_german_query_is_right_for_a_german_document() -> None:
    document = TIDES.model_copy(update={"language": "de", "title": "", "text": "Der Mond zieht das Meer an sich."})
    assert check_query("warum gibt es zweimal am Tag Flut", document) is None
    assert check_query("why is there a flood two times each day", document) == "wrong_language"
