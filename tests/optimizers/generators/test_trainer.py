"""Training a tiny model: it learns the preference, goes on after a kill, and stops where it should."""

from __future__ import annotations

import dataclasses
import errno
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from inpars_plus.foundation.errors import InputError, RunError
from inpars_plus.foundation.files import read_lines
from inpars_plus.optimizers.generators.batches import group_pairs, part_of, parts_of, steps_of
from inpars_plus.optimizers.generators.checkpoints import CHECKPOINT_FILE
from inpars_plus.optimizers.generators.models import BaseModel, LoraSettings, add_lora, trainable
from inpars_plus.optimizers.generators.packing import completion_log_probabilities
from inpars_plus.optimizers.generators.pairs import PreferencePair
from inpars_plus.optimizers.generators.trainer import Trainer, TrainSettings, learning_rate_at

MakePairs = Callable[[int], list[PreferencePair]]
Fresh = Callable[[], tuple[BaseModel, Any]]

FAST = TrainSettings(learning_rate=1e-2, epochs=2, documents_per_step=4, checkpoint_every=2)


@pytest.fixture
def fresh(make_base: Callable[[], BaseModel]) -> Fresh:
    def make() -> tuple[BaseModel, Any]:
        base = make_base()
        return base, add_lora(base, LoraSettings(rank=4), seed=0)

    return make


def accuracy(model: Any, documents: Any) -> float:
    part = part_of(documents)
    with torch.no_grad():
        sums = completion_log_probabilities(model, part.packed)[0]
    return float((sums[part.chosen] > sums[part.rejected]).float().mean())


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cpo", "dpo", "rpo", "sft"])
def test_training_prefers_the_chosen_on_documents_that_it_did_not_see(
    loss: str, fresh: Fresh, make_pairs: MakePairs, tmp_path: Path
) -> None:
    base, model = fresh()
    documents = group_pairs(make_pairs(40), base, max_tokens=512)
    settings = TrainSettings(
        loss=loss,  # type: ignore[arg-type]
        learning_rate=1e-2,
        epochs=3,
        documents_per_step=4,
    )
    trained = Trainer(model, settings, directory=tmp_path).train(documents[:32])
    assert trained.steps == 24
    assert accuracy(model, documents[32:]) == 1.0
    lines = [line for _, line in read_lines(tmp_path / "train.jsonl")]
    assert lines[-1]["loss"] < lines[0]["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cpo", "sft"])
def test_training_ends_alike_however_a_step_is_cut(
    fresh: Fresh, make_pairs: MakePairs, tmp_path: Path, loss: Any
) -> None:
    pairs = [
        one.model_copy(update={"chosen": one.chosen + " again" * (at % 4)}) for at, one in enumerate(make_pairs(8))
    ]
    weights = []
    for packed, max_nodes in ((True, 4096), (False, 4096), (True, 100)):
        base, model = fresh()
        documents = group_pairs(pairs, base, max_tokens=512)
        settings = TrainSettings(
            loss=loss, learning_rate=1e-3, documents_per_step=4, packed=packed, max_nodes=max_nodes
        )
        Trainer(model, settings, directory=tmp_path / f"{packed}-{max_nodes}").train(documents)
        weights.append({name: value.detach().clone() for name, value in trainable(model).items()})
    for name, value in weights[0].items():
        for other in weights[1:]:
            assert torch.allclose(value, other[name], atol=2e-4), name


@pytest.mark.slow
def test_a_checkpoint_of_other_settings_is_passed_over(fresh: Fresh, make_pairs: MakePairs, tmp_path: Path) -> None:
    def train(directory: Path, key: str, rate: float) -> dict[str, torch.Tensor]:
        base, model = fresh()
        documents = group_pairs(make_pairs(8), base, max_tokens=512)
        Trainer(model, TrainSettings(learning_rate=rate), directory=directory, key=key).train(documents)
        return {name: value.detach().clone() for name, value in trainable(model).items()}

    train(tmp_path / "one", "a", 1e-3)
    again, alone = train(tmp_path / "one", "b", 3e-3), train(tmp_path / "other", "b", 3e-3)
    assert all(torch.equal(value, alone[name]) for name, value in again.items())
    kept = train(tmp_path / "one", "b", 1.0)  # finished, so the rate has nothing left to do
    assert all(torch.equal(value, alone[name]) for name, value in kept.items())


@pytest.mark.slow
def test_a_run_that_was_killed_ends_with_the_same_weights(fresh: Fresh, make_pairs: MakePairs, tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    def train(directory: Path, stop_at: int | None) -> dict[str, torch.Tensor]:
        base, model = fresh()
        documents = group_pairs(make_pairs(16), base, max_tokens=512)
        trainer = Trainer(model, FAST, directory=directory, seed=3)
        update = trainer._update

        def stopping(members: Any, rate: float, step: int) -> Any:
            if step == stop_at:
                raise KilledError
            return update(members, rate, step)

        trainer._update = stopping  # type: ignore[method-assign]
        trainer.train(documents)
        return {name: value.detach().clone() for name, value in trainable(model).items()}

    undisturbed = train(tmp_path / "one", None)
    with pytest.raises(KilledError):
        train(tmp_path / "two", 5)  # in the second epoch, after the checkpoint of step 4
    resumed = train(tmp_path / "two", None)
    for name, value in undisturbed.items():
        assert torch.equal(value, resumed[name]), name
    assert [line["step"] for _, line in read_lines(tmp_path / "two" / "train.jsonl")] == list(range(1, 9))


@pytest.mark.slow
def test_the_best_validated_weights_are_kept_and_patience_ends_it(
    fresh: Fresh, make_pairs: MakePairs, tmp_path: Path
) -> None:
    base, model = fresh()
    documents = group_pairs(make_pairs(16), base, max_tokens=512)
    rewards = iter([0.5, 0.9, 0.3, 0.2, 0.1])
    seen: list[dict[str, torch.Tensor]] = []

    def validate(model: Any) -> float:
        seen.append({name: value.detach().clone() for name, value in trainable(model).items()})
        return next(rewards)

    settings = TrainSettings(
        learning_rate=1e-2, epochs=2, documents_per_step=4, validate_every=1, patience=2, checkpoint_every=1
    )
    trained = Trainer(model, settings, directory=tmp_path, validate=validate, probe=part_of(documents[:2])).train(
        documents
    )
    assert (trained.steps, trained.best_step, trained.best_reward, trained.stopped_early) == (4, 2, 0.9, True)
    for name, value in trainable(model).items():
        assert torch.equal(value, seen[1][name])
    lines = [line for _, line in read_lines(tmp_path / "train.jsonl")]
    assert [line["reward"] for line in lines] == [0.5, 0.9, 0.3, 0.2]
    assert all(line["kl"] >= 0 for line in lines)
    memory = [line["peak_memory_mb"] for line in lines]
    assert 100 < memory[0] <= memory[-1] < memory[0] + 500


@pytest.mark.slow
def test_two_validations_an_epoch_are_of_the_documents_that_are_trained_on(
    fresh: Fresh, make_pairs: MakePairs, tmp_path: Path
) -> None:
    base, model = fresh()
    pairs = make_pairs(32)
    long = [pair.model_copy(update={"rejected": " WHAT" * 200}) for pair in pairs[16:]]
    documents = group_pairs([*pairs[:16], *long], base, max_tokens=512)
    settings = dataclasses.replace(FAST, epochs=1, validate_every=None)
    trained = Trainer(model, settings, directory=tmp_path, validate=lambda _: 0.5).train(documents)
    assert (trained.documents, trained.steps) == (16, 4)
    assert [line["step"] for _, line in read_lines(tmp_path / "train.jsonl") if "reward" in line] == [2, 4]


def test_patience_that_runs_out_at_the_last_step_ended_nothing(
    fresh: Fresh, make_pairs: MakePairs, tmp_path: Path
) -> None:
    base, model = fresh()
    documents = group_pairs(make_pairs(8), base, max_tokens=512)
    settings = dataclasses.replace(FAST, epochs=1, validate_every=1, patience=1)
    trained = Trainer(model, settings, directory=tmp_path, validate=lambda _: 0.5).train(documents)
    assert (trained.steps, trained.best_step, trained.stopped_early) == (2, 1, False)


def test_the_distance_to_the_base_is_nothing_before_training(
    tiny_base: BaseModel, make_pairs: MakePairs, tmp_path: Path
) -> None:
    model = add_lora(tiny_base, LoraSettings(rank=4), seed=0)
    part = part_of(group_pairs(make_pairs(2), tiny_base, max_tokens=512))
    assert Trainer(model, FAST, directory=tmp_path).distance_to_base(part) == pytest.approx(0, abs=1e-6)


def test_a_loss_that_is_not_a_number_ends_training_with_a_sentence(
    fresh: Fresh, make_pairs: MakePairs, tmp_path: Path
) -> None:
    base, model = fresh()
    with torch.no_grad():
        next(iter(trainable(model).values())).fill_(float("nan"))
    documents = group_pairs(make_pairs(4), base, max_tokens=512)
    with pytest.raises(RunError, match=r"the loss is not a number at step 1\. Lower the learning rate"):
        Trainer(model, FAST, directory=tmp_path).train(documents)


@pytest.mark.slow
def test_a_gradient_that_is_not_a_number_spoils_neither_weights_nor_checkpoint(
    fresh: Fresh, make_pairs: MakePairs, tmp_path: Path
) -> None:
    settings = dataclasses.replace(FAST, checkpoint_every=1)
    base, model = fresh()
    documents = group_pairs(make_pairs(8), base, max_tokens=512)
    first = next(iter(trainable(model).values()))
    gradients = itertools.count()
    first.register_hook(lambda given: given * float("nan") if next(gradients) else given)
    with pytest.raises(RunError, match=r"the gradient is not a number at step 2\. Lower the learning rate .* are kept"):
        Trainer(model, settings, directory=tmp_path).train(documents)
    assert all(bool(value.isfinite().all()) for value in trainable(model).values())

    base, model = fresh()
    assert Trainer(model, settings, directory=tmp_path).train(documents).steps == 4
    assert [line["step"] for _, line in read_lines(tmp_path / "train.jsonl")] == [1, 2, 3, 4]


def test_a_log_that_cannot_be_trimmed_is_not_lost(
    fresh: Fresh, make_pairs: MakePairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, model = fresh()
    documents = group_pairs(make_pairs(4), base, max_tokens=512)
    Trainer(model, FAST, directory=tmp_path).train(documents)
    before = (tmp_path / "train.jsonl").read_bytes()

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("inpars_plus.foundation.files._sync", full)
    with pytest.raises(RunError, match="No space left"):
        Trainer(fresh()[1], FAST, directory=tmp_path).train(documents)
    assert (tmp_path / "train.jsonl").read_bytes() == before


def test_a_damaged_checkpoint_is_named(fresh: Fresh, make_pairs: MakePairs, tmp_path: Path) -> None:
    base, model = fresh()
    (tmp_path / CHECKPOINT_FILE).write_bytes(b"not a checkpoint")
    with pytest.raises(RunError, match="checkpoint cannot be used"):
        Trainer(model, FAST, directory=tmp_path).train(group_pairs(make_pairs(4), base, max_tokens=512))


def test_no_pairs_and_a_prompt_that_is_too_long_are_refused(tiny_base: BaseModel, make_pairs: MakePairs) -> None:
    with pytest.raises(InputError, match="no preference pairs"):
        group_pairs([], tiny_base, max_tokens=512)
    with pytest.raises(InputError, match=r"document 0: a prompt with its completion has \d+ tokens"):
        group_pairs(make_pairs(1), tiny_base, max_tokens=20)


def test_pairs_with_a_completion_that_is_too_long_are_left_out(
    tiny_base: BaseModel, make_pairs: MakePairs, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = make_pairs(3)
    long = second.model_copy(update={"rejected": " WHAT" * 200})
    with caplog.at_level("INFO", "inpars_plus"):
        kept = group_pairs([first, long, third], tiny_base, max_tokens=512)
    assert kept == group_pairs([first, third], tiny_base, max_tokens=512)
    assert "1 of 3 prompts with their completions are too long" in caplog.text


def test_every_document_comes_once_an_epoch_in_an_order_of_its_own() -> None:
    first, second = (steps_of(10, 4, epoch=epoch, seed=1) for epoch in (0, 1))
    assert [len(step) for step in first] == [4, 4, 2]
    assert sorted(itertools.chain(*first)) == sorted(itertools.chain(*second)) == list(range(10))
    assert first != second
    assert first == steps_of(10, 4, epoch=0, seed=1)


def test_parts_hold_all_pairs_and_at_most_so_many_tokens(tiny_base: BaseModel, make_pairs: MakePairs) -> None:
    documents = group_pairs(make_pairs(12), tiny_base, max_tokens=512)
    parts = parts_of(documents, max_nodes=256)
    assert len(parts) > 1
    assert sum(part.pairs for part in parts) == 12
    assert all(part.packed.nodes <= 256 for part in parts)


@pytest.mark.parametrize("packed", [True, False])
def test_parts_are_as_few_as_the_limit_allows_and_even(
    tiny_base: BaseModel, make_pairs: MakePairs, packed: bool
) -> None:
    documents = group_pairs(make_pairs(8), tiny_base, max_tokens=512)
    (whole,) = parts_of(documents, max_nodes=4096, packed=packed)
    parts = parts_of(documents, max_nodes=whole.packed.nodes - 1, packed=packed)
    assert [part.pairs for part in parts] == [4, 4]
    assert [pair for part in parts for pair in part.packed.predicted.tolist()] == whole.packed.predicted.tolist()


@pytest.mark.parametrize("schedule", ["linear", "cosine", "inverse_sqrt", "constant"])
def test_the_rate_rises_to_the_highest_and_never_above(schedule: str) -> None:
    settings = TrainSettings(learning_rate=1.0, warmup=0.2, schedule=schedule)  # type: ignore[arg-type]
    rates = [learning_rate_at(step, 20, settings) for step in range(20)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert max(rates) == 1.0
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[4:]))
