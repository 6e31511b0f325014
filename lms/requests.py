"""Reading a canonical request: the prompt, the turns, and what distinguishes one request from another.

How a completion prompt is told from chat: a request that holds one user message and nothing else (no system message,
no other turn) is a raw prompt, to be continued as it stands. DSPy's chat adapters always send a system message, so
the two cannot be confused; ``lm("text")`` continues the text. The rule needs no flag, so it survives copies, DSPy's
request building and any engine.
"""

from __future__ import annotations

from typing import Any

from dspy.lm15 import Request, UnsupportedFeatureError

__all__ = ["chat_turns", "raw_prompt", "request_fields", "request_text"]


def raw_prompt(request: Request) -> str | None:
    """The completion prompt of a request; ``None`` when it holds chat turns."""
    if request.system is None and len(request.messages) == 1 and request.messages[0].role == "user":
        return _text(request.messages[0].parts)
    return None


def chat_turns(request: Request) -> list[dict[str, str]]:
    """The turns of a request, the system message first, as ``{"role", "content"}``."""
    turns: list[dict[str, str]] = []
    if request.system is not None:
        system = request.system if isinstance(request.system, str) else _text(request.system)
        turns.append({"role": "system", "content": system})
    for message in request.messages:
        role = "system" if message.role == "developer" else message.role
        turns.append({"role": role, "content": _text(message.parts)})
    return turns


def request_text(request: Request) -> str:
    """All the text of a request, for counting its length."""
    return "\n".join(turn["content"] for turn in chat_turns(request))


def request_fields(request: Request) -> dict[str, Any]:
    """What decides a reply, as plain JSON: the turns and the settings that were given. No model, no secret."""
    config = request.config
    settings = {
        name: getattr(config, name)
        for name in (
            "max_tokens",
            "temperature",
            "top_p",
            "top_k",
            "stop",
            "response_format",
            "seed",
            "frequency_penalty",
            "presence_penalty",
            "extensions",
        )
        if getattr(config, name) not in (None, ())
    }
    if config.reasoning is not None:
        settings["reasoning"] = repr(config.reasoning)
    if request.tools:
        settings["tools"] = repr(request.tools)
    return {"turns": chat_turns(request), "settings": settings}


def _text(parts: Any) -> str:
    texts = []
    for part in parts:
        if part.type != "text":
            raise UnsupportedFeatureError(f"this model reads text only, not a part of type '{part.type}'")
        texts.append(part.text)
    return "".join(texts)
