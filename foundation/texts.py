r"""Texts that not every library takes: those with half of a character.

JSON can hold one half of a character beyond the first 65,536 (a lone surrogate, such as ``\\ud83d``), and some language
models reply with one. No file in UTF-8 can hold it, and tokenizers refuse it.
"""

from __future__ import annotations

__all__ = ["is_whole", "made_whole"]


def is_whole(text: str) -> bool:
    """Whether a text has no half of a character (a lone surrogate), which no file in UTF-8 can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def made_whole(text: str) -> str:
    """The text with ``?`` in the place of each half of a character."""
    return text.encode("utf-8", "replace").decode()
