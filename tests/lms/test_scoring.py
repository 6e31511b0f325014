from __future__ import annotations

import math

import pytest

from inpars_plus.foundation.errors import InputError
from inpars_plus.lms import CompletionScore, load_lm, load_scorer
from inpars_plus.lms.embedded import shared_pipeline
from inpars_plus.lms.scoring import EmbeddedScorer

PROMPT = "Document: Water boils at 100 degrees Celsius at sea level, and it freezes at zero degrees in winter.\nQuery:"
LONGER = PROMPT.replace("in winter", "in winter, as people in the mountains have known for a long time")
NATURAL = " at what temperature does water boil"
SHUFFLED = " boil water does temperature what at"


def test_the_mean_is_over_tokens_and_an_empty_completion_is_impossible() -> None:
    score = CompletionScore((-1.0, -2.0, -6.0))
    assert (score.tokens, score.mean_log_probability) == (3, -3.0)
    assert CompletionScore(()).mean_log_probability == -math.inf


def plain(scorer: EmbeddedScorer, prompt: str, completion: str) -> tuple[float, ...]:
    """The log-probabilities without any cache, asked alone."""
    pipeline = shared_pipeline(scorer._path).plain
    before, after = pipeline.encode(prompt), pipeline.encode(completion)
    config = pipeline.config(max_new_tokens=1, ignore_eos=True, do_sample=False, echo=True, logprobs=1)
    return tuple(pipeline.submit(before + after, config).result().log_probabilities[-1 - len(after) : -1])


@pytest.fixture
def scorer() -> EmbeddedScorer:
    """A scorer that remembers nothing yet, over the model that is in memory anyway."""
    shared = load_scorer()
    return EmbeddedScorer(shared._path, shared.name)


@pytest.mark.model
def test_a_question_is_more_natural_than_its_words_shuffled_whatever_the_order(scorer: EmbeddedScorer) -> None:
    first = scorer.score([(PROMPT, NATURAL), (PROMPT, SHUFFLED)])
    second = scorer.score([(PROMPT, SHUFFLED), (PROMPT, NATURAL)])
    assert first == second[::-1]
    assert first[0].mean_log_probability > first[1].mean_log_probability + 2
    assert all(value <= 0 for score in first for value in score.log_probabilities)


@pytest.mark.model
def test_scores_agree_with_the_model_without_a_cache(scorer: EmbeddedScorer) -> None:
    completions = (NATURAL, SHUFFLED, " at what temperature does ice melt", " at what", " why is the sky blue", " x")
    pairs = [(prompt, completion) for prompt in (PROMPT, LONGER) for completion in completions]
    # Twice: the second time prompts are cached, and completions begin like ones that were scored.
    scorer.score(pairs[::2])
    for score, (prompt, completion) in zip(scorer.score(pairs), pairs, strict=True):
        expected = plain(scorer, prompt, completion)
        assert len(score.log_probabilities) == len(expected)
        differences = [abs(a - b) for a, b in zip(score.log_probabilities, expected, strict=True)]
        assert sum(differences) / len(differences) < 0.3, (prompt, completion)


@pytest.mark.model
def test_a_completion_that_was_generated_before_is_scored_all_the_same(scorer: EmbeddedScorer) -> None:
    written = load_lm("embedded")(LONGER, max_tokens=24)[0]
    (score,) = scorer.score([(LONGER, written)])
    expected = plain(scorer, LONGER, written)
    assert len(score.log_probabilities) == len(expected)
    assert abs(score.mean_log_probability - sum(expected) / len(expected)) < 0.2


@pytest.mark.model
def test_a_leading_space_is_added_where_it_is_missing(scorer: EmbeddedScorer) -> None:
    with_space, without = scorer.score([(PROMPT, NATURAL), (PROMPT, NATURAL.strip())])
    assert with_space == without


@pytest.mark.model
def test_in_single_stream_a_score_does_not_depend_on_what_else_is_scored() -> None:
    pairs = [
        (PROMPT, completion) for completion in (NATURAL, " at what temperature", f"{NATURAL} in a pot", " at what")
    ]
    path = load_scorer()._path
    together = EmbeddedScorer(path, "together", single_stream=True)
    scores = together.score(pairs)
    assert scores == together.score(pairs)
    for pair, score in zip(pairs[::-1], scores[::-1], strict=True):
        assert EmbeddedScorer(path, "alone", single_stream=True).score([pair]) == [score]
    assert load_scorer(single_stream=True) is load_scorer(single_stream=True) is not load_scorer()


@pytest.mark.model
def test_what_is_remembered_is_not_asked_again(scorer: EmbeddedScorer) -> None:
    scorer.score([(PROMPT, NATURAL)] * 5)
    assert scorer.usage.calls == 1
    scorer.score([(PROMPT, NATURAL)])
    assert scorer.usage.calls == 1


@pytest.mark.model
def test_a_blank_completion_has_no_tokens_and_an_empty_prompt_is_refused(scorer: EmbeddedScorer) -> None:
    assert scorer.score([(PROMPT, ""), (PROMPT, " ")]) == [CompletionScore(()), CompletionScore(())]
    with pytest.raises(InputError, match="empty prompt"):
        scorer.score([("", NATURAL)])
    with pytest.raises(InputError, match="tokens or more, but the model reads 8192"):
        scorer.score([("word " * 20_000, NATURAL)])
