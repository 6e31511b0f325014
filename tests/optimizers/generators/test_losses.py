"""Losses against golden values, and what each must do."""

from __future__ import annotations

import pytest
import torch

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.optimizers.generators.losses import (
    cpo_loss,
    cpo_terms,
    dpo_loss,
    nll_loss,
    rpo_loss,
    sft_loss,
)

CHOSEN = torch.tensor([-6.0, -9.5, -4.25])
REJECTED = torch.tensor([-8.0, -9.0, -10.0])
CHOSEN_TOKENS = torch.tensor([4, 6, 3])
REJECTED_TOKENS = torch.tensor([5, 5, 4])
REFERENCE_CHOSEN = torch.tensor([-7.0, -9.0, -5.0])
REFERENCE_REJECTED = torch.tensor([-7.5, -9.5, -9.0])
PAIRS = (CHOSEN, REJECTED, CHOSEN_TOKENS, REJECTED_TOKENS)
REFERENCED = (CHOSEN, REJECTED, REFERENCE_CHOSEN, REFERENCE_REJECTED)


def near(value: float) -> object:
    return pytest.approx(value, abs=1e-6)


def test_cpo_gives_the_published_values_for_each_pair() -> None:
    assert cpo_terms(*PAIRS).tolist() == [near(0.598139), near(0.718460), near(0.446418)]


@pytest.mark.parametrize(
    ("variant", "value"), [("sigmoid", 0.587672), ("hinge", 0.758333), ("ipo", 20.743517), ("simpo", 0.945515)]
)
def test_each_variant_of_cpo_has_its_golden_mean(variant: str, value: float) -> None:
    assert cpo_terms(*PAIRS, variant=variant).mean().item() == pytest.approx(value, abs=2e-6)  # type: ignore[arg-type]


def test_cpo_adds_the_likelihood_of_the_chosen_by_tokens() -> None:
    assert cpo_loss(*PAIRS).item() == near(2.106903)
    assert cpo_loss(*PAIRS, alpha=0).item() == near(0.587672)
    assert cpo_loss(*PAIRS, nll_reduction="sequence").item() == near(0.587672 + 1.5)


@pytest.mark.parametrize(
    ("reduction", "value"), [("token", 1.519231), ("sequence", 1.5), ("sum", (6 + 9.5 + 4.25) / 3)]
)
def test_a_likelihood_is_reduced_as_asked(reduction: str, value: float) -> None:
    assert nll_loss(CHOSEN, CHOSEN_TOKENS, reduction=reduction).item() == near(value)  # type: ignore[arg-type]


def test_sft_is_the_likelihood_by_tokens() -> None:
    assert sft_loss(CHOSEN, CHOSEN_TOKENS).item() == near(1.519231)


@pytest.mark.parametrize(
    ("beta", "dpo", "sequence", "token"), [(0.1, 0.658275, 2.158275, 2.177506), (0.5, 0.569798, 2.069798, 2.089028)]
)
def test_dpo_and_rpo_give_their_golden_values(beta: float, dpo: float, sequence: float, token: float) -> None:
    assert dpo_loss(*REFERENCED, beta=beta).item() == near(dpo)
    assert rpo_loss(*REFERENCED, CHOSEN_TOKENS, beta=beta).item() == near(sequence)
    assert rpo_loss(*REFERENCED, CHOSEN_TOKENS, beta=beta, nll_reduction="token").item() == near(token)


def test_the_short_form_found_in_the_wild_is_cpo_on_means_with_beta_1() -> None:
    chosen, rejected = CHOSEN / CHOSEN_TOKENS, REJECTED / REJECTED_TOKENS
    short = -torch.log(torch.exp(chosen) / (torch.exp(chosen) + torch.exp(rejected)))
    ones = torch.ones(3)
    assert torch.allclose(cpo_terms(chosen, rejected, ones, ones, beta=1.0), short, atol=1e-6)


def test_smoothing_half_way_makes_both_orders_equal() -> None:
    there = cpo_terms(*PAIRS, label_smoothing=0.5)
    back = cpo_terms(REJECTED, CHOSEN, REJECTED_TOKENS, CHOSEN_TOKENS, label_smoothing=0.5)
    assert torch.allclose(there, back)


@pytest.mark.parametrize("variant", ["sigmoid", "hinge", "ipo", "simpo"])
def test_every_variant_raises_the_chosen_and_lowers_the_rejected(variant: str) -> None:
    chosen, rejected = CHOSEN.clone().requires_grad_(), REJECTED.clone().requires_grad_()
    cpo_terms(chosen, rejected, CHOSEN_TOKENS, REJECTED_TOKENS, variant=variant).mean().backward()  # type: ignore[arg-type]
    assert chosen.grad is not None
    assert rejected.grad is not None
    assert (chosen.grad < 0).all()
    assert (rejected.grad > 0).all()


def test_an_unknown_name_is_one_clear_sentence() -> None:
    with pytest.raises(ConfigurationError, match="no CPO variant 'cubic'"):
        cpo_terms(*PAIRS, variant="cubic")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no reduction 'median'"):
        nll_loss(CHOSEN, CHOSEN_TOKENS, reduction="median")  # type: ignore[arg-type]
