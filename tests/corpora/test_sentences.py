from __future__ import annotations

import time

from inpars_plus.corpora.sentences import sentences_of


def test_sentences_end_at_their_marks_and_at_line_ends() -> None:
    text = (
        "Most seals wear out early. Are new ones expensive?  They are really cheap!\nA longer list\n\nThe end of it all"
    )
    assert sentences_of(text) == [
        "Most seals wear out early.",
        "Are new ones expensive?",
        "They are really cheap! A longer list",
        "The end of it all",
    ]
    assert sentences_of("The first sentence is this. The second sentence is that.") == [
        "The first sentence is this.",
        "The second sentence is that.",
    ]


def test_a_short_piece_goes_with_the_one_before_or_begins() -> None:
    assert sentences_of("1. The seal must be replaced in time.") == ["1.", "The seal must be replaced in time."]
    assert sentences_of("Replaced by Miller et al. That was in winter.") == [
        "Replaced by Miller et al.",
        "That was in winter.",
    ]


def test_a_closing_mark_stays_with_its_sentence() -> None:
    assert sentences_of('He said: "The seal is worn now." Then he replaced it at once.') == [
        'He said: "The seal is worn now."',
        "Then he replaced it at once.",
    ]


def test_sentences_without_blanks_between_them_are_told_apart() -> None:
    first, second = "密封件磨损后泵会漏水，必须尽快更换新的密封件。", "他说：“更换密封件大约需要一个小时左右的时间。”"
    assert sentences_of(first + second) == [first, second]


def test_an_empty_text_has_none() -> None:
    assert sentences_of("") == sentences_of(" \n ") == []


def test_a_word_list_of_a_megabyte_is_cut_in_no_time() -> None:
    started = time.monotonic()
    assert sentences_of("a" + "\nword" * 200_000) == ["a" + " word" * 200_000]
    assert time.monotonic() - started < 5
