"""Where several types are compiled, a type may go on with the program of another one."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.experiments import exchanging
from inpars_plus.experiments.compile_programs import compile_programs, tell
from inpars_plus.foundation import DeadModelError, SpendingCapError, digest_file
from inpars_plus.lms.engine import usage_of
from inpars_plus.lms.limits import Budget, SpendingLimits
from inpars_plus.optimizers.prompts import Candidate
from inpars_plus.optimizers.prompts.exchange import Exchange, exchange_programs
from inpars_plus.programs import list_programs, load_program


def write_for_machines(prompt: str) -> str:
    """Only demonstrations of type ``faq`` teach how to ask; without one, its own documents sometimes do."""
    *shown, last = re.split("Document:|Text:", prompt)
    machine, unit = re.search(r"The (\w+) of unit (\w+)", last).groups()  # type: ignore[union-attr]
    draw = int(hashlib.sha256(prompt.encode()).hexdigest()[:8], 16) % 4
    taught = any("unit faqx" in one and "seal\n" in one for one in shown)
    if taught or (unit.startswith("faqx") and draw == 0):
        return f" when does the {machine} of {unit} lose its seal"
    return " why do machines break down in plants"


def write_by_chain(prompt: str) -> str:
    """Demonstrations of ``faq`` teach a little, those of ``api`` all, so that each type would take over another's."""
    *shown, last = re.split("Document:|Text:", prompt)
    machine, unit = re.search(r"The (\w+) of unit (\w+)", last).groups()  # type: ignore[union-attr]
    draw = int(hashlib.sha256(prompt.encode()).hexdigest()[:8], 16) % 4
    taught = {name for name in ("faq", "api") for one in shown if f"unit {name}x" in one and "seal\n" in one}
    chance = 4 if "api" in taught else 2 if taught else int(not unit.startswith("manual"))
    if draw < chance:
        return f" when does the {machine} of {unit} lose its seal"
    return " why do machines break down in plants"


@pytest.fixture
def both(tmp_path: Path, small: Any) -> Any:
    """Compiles for two types; gives the settings, the summary and the number of calls."""
    corpus = small.write_corpus(tmp_path / "c.jsonl", 90, "manual", "faq")

    def compiled(**values: Any) -> tuple[Any, Any, int]:
        settings = small.compile_settings(corpus, tmp_path / "run", by_type=True, test_documents=8, **values)
        world = small.World(replies=write_for_machines)
        return settings, compile_programs(settings, **world.parts), world.calls

    return compiled


@pytest.mark.slow
def test_a_type_takes_over_the_better_program_of_another_and_everything_says_so(both: Any, tmp_path: Path) -> None:
    settings, summary, _ = both()
    out = tmp_path / "run"
    manual, faq = summary.results["manual"], summary.results["faq"]
    assert (manual["exchange"]["taken_from"], faq["exchange"]["taken_from"]) == ("faq", None)
    assert manual["exchange"]["other"] > manual["exchange"]["own"]
    assert manual["validation"] == {"own": manual["exchange"]["own"], "after": manual["exchange"]["other"]}
    assert manual["test"]["after"]["score"] > manual["test"]["own"]["score"]
    assert manual["test"]["difference_own"]["score"] > 0
    assert "own" not in faq["test"]

    taken, own = (load_program(out / "compiled" / f"{name}.json") for name in ("manual", "faq"))
    assert (taken.card.document_type, own.card.document_type) == ("manual", "faq")
    assert (taken.card.optimizer.settings["taken_from"], own.card.optimizer.settings.get("taken_from")) == ("faq", None)
    assert taken.generate.demos == own.generate.demos
    assert (
        taken.generate.signature.instructions == own.generate.signature.instructions == manual["chosen"]["instruction"]
    )
    assert summary.hashes["compiled/manual.json"] == digest_file(out / "compiled" / "manual.json")

    note = "The program for 'faq' does better on"
    assert note in " ".join(manual["notes"])
    report = (out / "report.html").read_text()
    assert note in report.replace("&#x27;", "'")
    assert "own, before the exchange" in report
    assert "own, before the exchange" in tell(settings, summary)
    trials = [json.loads(line) for line in (out / "trials" / "manual-exchange.jsonl").read_text().splitlines()]
    assert {one["stage"] for one in trials} == {"exchange"}


@pytest.mark.slow
def test_a_finished_exchange_is_not_paid_for_again_and_without_one_each_keeps_its_own(
    both: Any, tmp_path: Path
) -> None:
    _, first, _ = both()
    _, again, calls = both()
    assert calls == 0
    assert again.results == first.results

    _, alone, calls = both(exchange=False)
    assert calls == 0
    assert "exchange" not in alone.results["manual"]
    assert alone.results["manual"]["test"]["after"] == first.results["manual"]["test"]["own"]
    taken = load_program(tmp_path / "run" / "compiled" / "manual.json").card.optimizer.settings.get("taken_from")
    assert taken is None


@pytest.mark.slow
def test_what_a_type_took_over_is_not_its_own_for_the_others(tmp_path: Path, small: Any) -> None:
    corpus = small.write_corpus(tmp_path / "c.jsonl", 90, "api", "faq", "manual")
    settings = small.compile_settings(corpus, tmp_path / "run", by_type=True, test_documents=8)
    summary = compile_programs(settings, **small.World(replies=write_by_chain).parts)
    assert summary is not None
    taken = {name: one["exchange"]["taken_from"] for name, one in summary.results.items()}
    assert taken["manual"] == "api"
    assert taken["faq"] == "api"
    assert taken["api"] is None
    others = summary.results["api"]["test"]["other_programs"]
    assert others["manual"]["score"] < summary.results["api"]["test"]["after"]["score"]
    assert others["manual"]["difference"]["score"] > 0


def test_programs_lie_there_before_the_types_are_compared(
    both: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(*_: Any, **__: Any) -> None:
        raise DeadModelError("the server is gone")

    monkeypatch.setattr(exchanging, "exchange_programs", dead)
    with pytest.raises(DeadModelError):
        both()
    found = {card.document_type: card for card in list_programs(tmp_path / "run" / "compiled")}
    assert set(found) == {"manual", "faq"}
    assert found["faq"].metric.test.after is None
    assert load_program(tmp_path / "run" / "compiled" / "faq.json").generate.demos


@pytest.mark.slow
def test_a_cap_that_is_reached_while_programs_are_compared_costs_nothing_that_was_paid(
    tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = small.write_corpus(tmp_path / "c.jsonl", 90, "manual", "faq")
    spent: list[int] = []

    def watched(*given: Any, lm: Any, **more: Any) -> Exchange:
        spent.append(usage_of(lm).prompt_tokens + usage_of(lm).completion_tokens)
        found = exchange_programs(*given, lm=lm, **more)
        spent.append(usage_of(lm).prompt_tokens + usage_of(lm).completion_tokens)
        return found

    def compiled(out: str, world: Any) -> Any:
        return compile_programs(
            small.compile_settings(corpus, tmp_path / out, by_type=True, test_documents=8), **world.parts
        )

    monkeypatch.setattr(exchanging, "exchange_programs", watched)
    whole = small.World(replies=write_for_machines)
    expected = compiled("whole", whole)
    begun, ended = spent[:2]
    spent.clear()
    limits = SpendingLimits(max_tokens=(begun + ended) // 2)
    capped = small.World(replies=write_for_machines, budget=Budget(limits, price=None, label="scripted"))
    with pytest.raises(SpendingCapError, match="cap is reached"):
        compiled("run", capped)
    assert spent == [begun]
    again = small.World(replies=write_for_machines)
    assert compiled("run", again).results == expected.results
    assert capped.calls + again.calls == whole.calls


@pytest.mark.slow
def test_programs_are_compared_again_where_one_of_them_is_another(both: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def counting(student: Any, own: Any, others: Any, **_: Any) -> Exchange:
        compared.extend(others)
        return Exchange(Candidate.of(own))

    monkeypatch.setattr(exchanging, "exchange_programs", counting)
    both()
    assert sorted(compared) == ["faq", "manual"]
    both()
    assert len(compared) == 2
    both(optimizer="bootstrap")
    assert len(compared) == 4


def test_an_exchange_after_a_warm_start_takes_a_third(tmp_path: Path, small: Any) -> None:
    cold = small.compile_settings(tmp_path, tmp_path / "run", budget=800)
    warm = small.compile_settings(tmp_path, tmp_path / "run", budget=800, warm_start=(tmp_path / "programs",))
    plans = [exchanging.exchange_plan(one, types=4, validation=160) for one in (cold, warm)]
    assert [plan and plan.documents for plan in plans] == [96, 31]
    assert plans[1] is not None
    assert plans[1].calls <= 80


def test_a_dry_run_tells_what_an_exchange_takes(both: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def calls(line: str) -> int:
        return int(re.search(rf"{line}, at most +([\d,]+)", told).group(1).replace(",", ""))  # type: ignore[union-attr]

    both(dry_run=True, cross_types=False)
    told = capsys.readouterr().out
    assert calls("exchange manual") > 0
    scored = calls("score manual")
    both(dry_run=True, cross_types=False, exchange=False)
    told = capsys.readouterr().out
    assert "exchange" not in told
    # Four programs on the test documents instead of three: the one from before the exchange is scored too.
    assert scored * 3 == calls("score manual") * 4
