"""What the torch model writes for validation, whatever prompts share."""

from __future__ import annotations

import pytest
import torch

from inpars_plus.optimizers.generators.models import BaseModel, LoraSettings, add_lora, trainable
from inpars_plus.optimizers.generators.writing import greedy_completions

TRUNK = "Document: shown\nQuery: which one\n\nDocument: "
PROMPTS = [f"{TRUNK}{text}\nQuery:" for text in ("a pump", "the boiler of unit 7 leaks", "x", "valves and seals wear")]


def alone(model: object, base: BaseModel, prompt: str) -> str:
    ids = torch.tensor([base.encode(prompt)])
    with torch.no_grad():
        written = model.generate(  # type: ignore[attr-defined]
            input_ids=ids, max_new_tokens=12, do_sample=False, eos_token_id=[base.end, *base.encode("\n")[:1]]
        )
    text: str = base.tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True)
    return text.strip().split("\n", 1)[0].strip()


@pytest.mark.slow
@pytest.mark.parametrize(
    "prompts", [PROMPTS, [*PROMPTS, "Another:"], PROMPTS[:1]], ids=["shared trunk", "none", "one prompt"]
)
def test_batches_that_share_a_trunk_write_what_each_prompt_gives_alone(
    tiny_base: BaseModel, prompts: list[str]
) -> None:
    model = add_lora(tiny_base, LoraSettings(rank=4), seed=0)
    with torch.no_grad():
        for value in trainable(model).values():
            value.normal_(std=0.2)
    found = greedy_completions(model, tiny_base, prompts, max_new_tokens=12, batch=2)
    assert found == [alone(model, tiny_base, prompt) for prompt in prompts]
    assert len(set(found)) > 1 or len(prompts) == 1


def test_nothing_asked_gives_nothing(tiny_base: BaseModel) -> None:
    assert greedy_completions(tiny_base.model, tiny_base, []) == []
