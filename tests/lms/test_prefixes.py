from __future__ import annotations

from inpars_plus.lms.prefixes import BLOCK, PrefixGuard


def tokens(*runs: tuple[int, int]) -> list[int]:
    """Runs of (value, how many)."""
    return [value for value, count in runs for _ in range(count)]


PROMPT = tokens((1, BLOCK + 8))
REPLY = [2, 2, 2]


def test_different_prompts_run_together() -> None:
    guard = PrefixGuard()
    assert guard.enter(tokens((1, 40))) is not None
    assert guard.enter(tokens((3, 40))) is not None
    assert guard.enter(tokens((1, 20), (3, 20))) is not None


def test_the_same_prompt_may_be_drawn_many_times_at_once() -> None:
    guard = PrefixGuard()
    assert all(guard.enter(PROMPT) is not None for _ in range(5))


def finished() -> PrefixGuard:
    guard = PrefixGuard()
    ticket = guard.enter(PROMPT)
    assert ticket is not None
    guard.leave(ticket, REPLY)
    return guard


def test_two_requests_that_continue_an_end_differently_are_kept_apart_until_the_first_is_done() -> None:
    guard = finished()
    first = guard.enter([*PROMPT, *REPLY, 7, 7])
    assert first is not None
    assert guard.enter([*PROMPT, *REPLY, 8, 8]) is None
    guard.leave(first)
    assert guard.enter([*PROMPT, *REPLY, 8, 8]) is not None


def test_requests_that_continue_an_end_alike_to_the_end_of_its_block_run_together() -> None:
    guard = finished()
    same = tokens((7, BLOCK))
    assert guard.enter([*PROMPT, *REPLY, *same, 1]) is not None
    assert guard.enter([*PROMPT, *REPLY, *same, 2]) is not None


def test_a_prompt_that_continues_one_that_still_runs_waits_elsewhere() -> None:
    guard = PrefixGuard()
    ticket = guard.enter(PROMPT)
    assert ticket is not None
    assert guard.enter([*PROMPT, 9]) is None
    guard.leave(ticket)
    assert guard.enter([*PROMPT, 9]) is not None


def test_an_end_on_the_border_of_a_block_is_harmless() -> None:
    guard = PrefixGuard()
    ticket = guard.enter(tokens((1, BLOCK)))
    assert ticket is not None
    guard.leave(ticket)
    assert guard.enter(tokens((1, BLOCK), (2, 5))) is not None
    assert guard.enter(tokens((1, BLOCK), (3, 5))) is not None


def test_a_beginning_that_ends_nowhere_may_be_shared() -> None:
    guard = finished()
    assert guard.enter([*PROMPT[:20], 7]) is not None
    assert guard.enter([*PROMPT[:20], 8]) is not None
