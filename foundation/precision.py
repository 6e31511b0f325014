"""The precision that a machine computes in fastest: one answer for every model that is run or trained in torch."""

from __future__ import annotations

from typing import Literal

from inpars_plus.foundation.parts import require

__all__ = ["Precision", "fast_precision"]

Precision = Literal["bfloat16", "float32"]


def fast_precision(device: str) -> Precision:
    """``bfloat16`` where the hardware multiplies in it, else ``float32``: emulated, bfloat16 is the slower one.

    Args:
        device: the kind of a torch device, such as ``cpu`` or ``cuda``.

    Raises:
        MissingPartError: torch is not installed.
    """
    torch = require("torch", install="pip install torch", purpose="Running a model in torch")
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device != "cpu" or not torch.backends.mkldnn.is_available():
        return "float32"
    # Every processor with AMX has this too. The name is torch's own, and may be gone one day.
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return "bfloat16" if probe is not None and probe() else "float32"
