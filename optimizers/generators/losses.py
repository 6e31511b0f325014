"""Losses over the log-probabilities of completions, as pure functions.

Notation of all of them: ``lp(y|x)`` is the sum over the tokens of a completion ``y``, its end token included, of
``ln p(token | x, earlier tokens)``; the prompt ``x`` counts nothing. ``w`` is the chosen completion of a pair, ``l``
the rejected one, ``B`` the number of pairs. Every result is a loss in nats, to be minimised.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional

from inpars_plus.foundation.errors import ConfigurationError

__all__ = [
    "CpoVariant",
    "NllReduction",
    "cpo_loss",
    "cpo_terms",
    "dpo_loss",
    "dpo_terms",
    "nll_loss",
    "rpo_loss",
    "sft_loss",
]

CpoVariant = Literal["sigmoid", "hinge", "ipo", "simpo"]
NllReduction = Literal["token", "sequence", "sum"]


def cpo_terms(
    chosen: Tensor,
    rejected: Tensor,
    chosen_tokens: Tensor,
    rejected_tokens: Tensor,
    *,
    beta: float = 0.1,
    variant: CpoVariant = "sigmoid",
    label_smoothing: float = 0.0,
    gamma: float = 0.5,
) -> Tensor:
    """The preference part of Contrastive Preference Optimization, one value a pair.

    With ``z = lp(w|x) - lp(l|x)``, and ``m`` the same difference of *means* over tokens:

    * sigmoid: ``-(1 - eps) ln s(beta z) - eps ln s(-beta z)`` (Xu et al. 2024, arXiv 2401.08417, equation 4, where the
      reference policy is uniform and so falls out; ``eps`` as in conservative DPO, 0 in the paper)
    * hinge: ``max(0, 1 - beta z)`` (Zhao et al. 2023, SLiC, arXiv 2305.10425)
    * ipo: ``(m - 1 / (2 beta))^2`` (Azar et al. 2023, arXiv 2310.12036, equation 17, without a reference)
    * simpo: ``-(1 - eps) ln s(beta m - gamma) - eps ln s(gamma - beta m)`` (Meng et al. 2024, arXiv 2405.14734,
      equation 6, whose margin is ``gamma``)

    Args:
        chosen: ``lp(w|x)``, shape (B,).
        rejected: ``lp(l|x)``, shape (B,).
        chosen_tokens: tokens of ``w``, shape (B,).
        rejected_tokens: tokens of ``l``, shape (B,).
        beta: how sharply differences count, above 0.
        variant: which of the four.
        label_smoothing: ``eps``, the share of pairs believed to be the wrong way round; in [0, .5).
        gamma: margin of simpo.

    Returns:
        Shape (B,).

    Raises:
        ConfigurationError: an unknown variant.
    """
    if variant == "hinge":
        return functional.relu(1 - beta * (chosen - rejected))
    means = chosen / chosen_tokens - rejected / rejected_tokens
    if variant == "ipo":
        return (means - 1 / (2 * beta)).square()
    if variant == "sigmoid":
        logits = beta * (chosen - rejected)
    elif variant == "simpo":
        logits = beta * means - gamma
    else:
        raise ConfigurationError(
            f"there is no CPO variant '{variant}'", remedy="Choose one of: sigmoid, hinge, ipo, simpo"
        )
    return _smoothed(logits, label_smoothing)


def cpo_loss(
    chosen: Tensor,
    rejected: Tensor,
    chosen_tokens: Tensor,
    rejected_tokens: Tensor,
    *,
    beta: float = 0.1,
    alpha: float = 1.0,
    variant: CpoVariant = "sigmoid",
    label_smoothing: float = 0.0,
    gamma: float = 0.5,
    nll_reduction: NllReduction = "token",
) -> Tensor:
    """Contrastive Preference Optimization: ``mean(preference) + alpha * NLL(chosen)`` (arXiv 2401.08417, equation 5).

    The paper's second term is a sum over tokens for each sequence; TRL's is a mean over the tokens of the batch, which
    is the default here.

    Args:
        chosen: as in :func:`cpo_terms`, like the other arguments that have the same names there.
        rejected: ditto.
        chosen_tokens: ditto.
        rejected_tokens: ditto.
        beta: ditto.
        alpha: weight of the likelihood of the chosen; simpo usually has 0.
        variant: ditto.
        label_smoothing: ditto.
        gamma: ditto.
        nll_reduction: see :func:`nll_loss`.

    Returns:
        A scalar.
    """
    terms = cpo_terms(
        chosen,
        rejected,
        chosen_tokens,
        rejected_tokens,
        beta=beta,
        variant=variant,
        label_smoothing=label_smoothing,
        gamma=gamma,
    )
    return terms.mean() + alpha * nll_loss(chosen, chosen_tokens, reduction=nll_reduction)


def dpo_terms(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Direct Preference Optimization, one value a pair (Rafailov et al. 2023, arXiv 2305.18290, equation 7).

    ``-ln s(beta ((lp(w) - lp_ref(w)) - (lp(l) - lp_ref(l))))``

    Args:
        chosen: ``lp(w|x)`` under the model that is tuned, shape (B,).
        rejected: ``lp(l|x)``, shape (B,).
        reference_chosen: ``lp(w|x)`` under the model as it was, shape (B,), without a gradient.
        reference_rejected: ``lp(l|x)`` under it, shape (B,).
        beta: how strongly it is held near the reference, above 0.
        label_smoothing: as in :func:`cpo_terms`.

    Returns:
        Shape (B,).
    """
    return _smoothed(beta * ((chosen - reference_chosen) - (rejected - reference_rejected)), label_smoothing)


def dpo_loss(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The mean of :func:`dpo_terms`, a scalar."""
    return dpo_terms(
        chosen, rejected, reference_chosen, reference_rejected, beta=beta, label_smoothing=label_smoothing
    ).mean()


def rpo_loss(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    chosen_tokens: Tensor,
    *,
    beta: float = 0.1,
    alpha: float = 1.0,
    label_smoothing: float = 0.0,
    nll_reduction: NllReduction = "sequence",
) -> Tensor:
    """DPO with the likelihood of the chosen: ``L_DPO + alpha * NLL`` (Pang et al. 2024, arXiv 2404.19733, equation 1).

    The likelihood is normalised by the length of each sequence, as in the paper; ``token`` is TRL's.

    Args:
        chosen: as in :func:`dpo_terms`, like the other arguments that have the same names there.
        rejected: ditto.
        reference_chosen: ditto.
        reference_rejected: ditto.
        chosen_tokens: tokens of ``w``, shape (B,).
        beta: ditto.
        alpha: weight of the likelihood.
        label_smoothing: ditto.
        nll_reduction: see :func:`nll_loss`.

    Returns:
        A scalar.
    """
    preference = dpo_loss(
        chosen, rejected, reference_chosen, reference_rejected, beta=beta, label_smoothing=label_smoothing
    )
    return preference + alpha * nll_loss(chosen, chosen_tokens, reduction=nll_reduction)


def nll_loss(log_probabilities: Tensor, tokens: Tensor, *, reduction: NllReduction = "token") -> Tensor:
    """Negative log-likelihood of completions.

    Args:
        log_probabilities: ``lp(y|x)``, shape (B,).
        tokens: tokens of each, shape (B,).
        reduction: ``token``: the sum over all by the number of all tokens; ``sequence``: the mean of each sequence's
            mean; ``sum``: the mean of each sequence's sum.

    Returns:
        A scalar.

    Raises:
        ConfigurationError: an unknown reduction.
    """
    if reduction == "token":
        return -log_probabilities.sum() / tokens.sum()
    if reduction == "sequence":
        return -(log_probabilities / tokens).mean()
    if reduction == "sum":
        return -log_probabilities.mean()
    raise ConfigurationError(
        f"there is no reduction '{reduction}' of a likelihood", remedy="Choose one of: token, sequence, sum"
    )


def sft_loss(chosen: Tensor, chosen_tokens: Tensor) -> Tensor:
    """Supervised fine-tuning: the mean negative log-likelihood of the chosen completions' tokens, a scalar."""
    return nll_loss(chosen, chosen_tokens, reduction="token")


def _smoothed(logits: Tensor, smoothing: float) -> Tensor:
    kept = -(1 - smoothing) * functional.logsigmoid(logits)
    return kept - smoothing * functional.logsigmoid(-logits) if smoothing else kept
