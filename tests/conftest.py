"""What holds for every test: no network, caches of its own, and no secret of the person who runs it."""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import logging
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

# Before any test module imports DSPy, LiteLLM or Hugging Face code, which read these once.
_SCRATCH = Path(tempfile.mkdtemp(prefix="inpars-plus-tests-"))
os.environ["DSPY_CACHEDIR"] = str(_SCRATCH / "dspy")
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# One cache of indexes a session, so that a collection is encoded once; set the variable to keep it between sessions.
os.environ.setdefault("INPARS_PLUS_CACHE", str(_SCRATCH / "cache"))
# Test processes side by side share the cores: with the threads of all cores each, they would wait for each other.
if _workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(_workers))))
for _name in [name for name in os.environ if name.endswith("_API_KEY")]:
    del os.environ[_name]
# LiteLLM asks for the event loop of the main thread, which Python makes at the first question, and closes none. Once
# none was set there is none to find, and LiteLLM makes and closes its own.
asyncio.set_event_loop(None)

_COLLECTIONS = os.environ.get("INPARS_PLUS_COLLECTIONS")


def pytest_unconfigure() -> None:
    shutil.rmtree(_SCRATCH, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if _COLLECTIONS and Path(_COLLECTIONS).is_dir():
        return
    reason = "INPARS_PLUS_COLLECTIONS does not name a directory of test collections"
    for item in items:
        if item.get_closest_marker("collections"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _quiet_logger() -> Iterator[None]:
    """Take away the handlers that a test, by running a script, gave the logger of the library."""
    log = logging.getLogger("inpars_plus")
    handlers, level = log.handlers[:], log.level
    yield
    log.handlers[:] = handlers
    log.setLevel(level)


@pytest.fixture(scope="session")
def collections() -> Path:
    """The directory of test collections; for tests marked ``collections``."""
    if not _COLLECTIONS:
        pytest.skip("INPARS_PLUS_COLLECTIONS is not set")
    return Path(_COLLECTIONS)


@pytest.fixture(scope="session")
def tree() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def loopback(tree: Path) -> ModuleType:
    """The module of the server on loopback: tests are not a package."""
    path = tree / "tests" / "lms" / "loopback.py"
    spec = importlib.util.spec_from_file_location("inpars_plus_loopback", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def forbidden() -> Path:
    """A directory in which nobody, not even root, may make a file or a folder."""
    for place in (Path("/sys"), Path("/System")):
        try:
            (place / "inpars-plus").mkdir()
        except PermissionError:
            return place
        except OSError as problem:
            if problem.errno == errno.EROFS:
                return place
    pytest.skip("root may write everywhere on this system")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Torch on one thread: with the matrices of a tiny model, threads only wait for each other."""
    import torch

    given = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(given)


@pytest.fixture(scope="session")
def tiny() -> Any:
    """``tokenizer()`` and ``model()`` of a model small enough to train in a test: random weights, a byte a token."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    def tokenizer() -> Any:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        merged = ("Ā", "Ā")  # two bytes 0: nothing reads a GGUF file without merges, and no text has these
        vocabulary = {letter: at for at, letter in enumerate([*alphabet, "".join(merged)])}
        bytewise = Tokenizer(models.BPE(vocab=vocabulary, merges=[merged]))
        bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bytewise.decoder = decoders.ByteLevel()
        made: Any = PreTrainedTokenizerFast
        return made(tokenizer_object=bytewise, eos_token="<|end|>", pad_token="<|end|>")

    def model() -> Any:
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=288,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
            attn_implementation="sdpa",
        )
        made: Any = LlamaForCausalLM
        return made(config).eval().requires_grad_(False)

    return SimpleNamespace(tokenizer=tokenizer, model=model)


@pytest.fixture(scope="session")
def kinds(tree: Path) -> Any:
    """``model(kind, tied)`` and ``tokenizer(cut)`` of tiny models whose weights, all random, all make a difference.

    ``kind`` is ``llama``, ``qwen2`` or ``qwen3``. A tokenizer is learned from the license; ``cut`` is the pattern by
    which text is cut before anything is merged, and ``kinds.qwen`` is Qwen's.
    """
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    sizes = {"vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048}

    def tokenizer(cut: str) -> Any:
        bytewise = Tokenizer(models.BPE())
        split: Any = pre_tokenizers.Split(Regex(cut), "isolated")
        bytewise.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
        bytewise.decoder = decoders.ByteLevel()
        trainer: Any = trainers.BpeTrainer(
            vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        )
        bytewise.train_from_iterator([(tree / "LICENSE").read_text(encoding="utf-8")], trainer)
        made: Any = PreTrainedTokenizerFast
        return made(tokenizer_object=bytewise, eos_token="<|end|>", pad_token="<|end|>")

    def model(kind: str, tied: bool) -> Any:
        torch.manual_seed(0)
        own = {"head_dim": 32} if kind == "qwen3" else {}
        config = AutoConfig.for_model(kind, **sizes, **own, tie_word_embeddings=tied)
        made: Any = AutoModelForCausalLM
        found = made.from_config(config).eval().requires_grad_(False)
        for name, value in found.named_parameters():
            if value.ndim == 2:
                value.normal_(std=0.15)
            elif name.endswith("bias"):
                value.normal_(std=0.5)
            else:
                value.add_(torch.randn_like(value) * 0.1)
        return found

    words = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
    qwen = words + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    return SimpleNamespace(model=model, qwen=qwen, tokenizer=tokenizer)


@pytest.fixture(scope="session")
def typed() -> Any:
    """``some(count, *types, start=0)``: documents of the types ``code``, ``talk`` and ``report``, each on any topic."""
    from inpars_plus.corpora import Document

    things = "pump valve turbine boiler compressor gearbox furnace crane lathe kiln".split()
    events = "leaks overheats rattles stalls corrodes vibrates freezes jams smokes sticks".split()

    def text(doc_type: str, at: int) -> str:
        draw = random.Random(f"{doc_type} {at}")
        thing, event, more, number = draw.choice(things), draw.choice(events), draw.choice(things), draw.randint(2, 99)
        if doc_type == "code":
            return (
                f'def {event}_{number}({thing}, {more}=None):\n    """Whether it {event}."""\n'
                f"    for part in {thing}.parts[{number}]:\n        if part.{event}():\n"
                f"            return {more}_{number % 7}\n"
            )
        if doc_type == "talk":
            return (
                f"My {thing} {event}! What can I do? I tried your {more}, but you told me that it never helps. "
                f"Should we call you {number} times?"
            )
        return (
            f"A {thing} of plant {number} that {event} was examined over {number} years, and the {more} beside it "
            f"served as control. Measurements showed significant differences between both groups, whereas temperature "
            f"had no effect on the rate at which it {event}."
        )

    def some(count: int, *types: str, start: int = 0) -> list[Document]:
        return [
            Document(id=f"{doc_type}-{at}", text=text(doc_type, at), doc_type=doc_type)
            for doc_type in types
            for at in range(start, start + count)
        ]

    return SimpleNamespace(some=some)
