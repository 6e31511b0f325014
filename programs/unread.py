"""Saying that a model's replies are of no use at all, which a search that goes on without them would hide."""

from __future__ import annotations

import logging
import threading

from inpars_plus.foundation.forks import in_each_fork

__all__ = ["UnreadReplies"]

_log = logging.getLogger("inpars_plus")


class UnreadReplies:
    """Warns once when all replies of a search could not be read; many threads search.

    Args:
        effect: what that means for the searches, after "so".
    """

    def __init__(self, effect: str) -> None:
        self._effect = effect
        self._said = False
        self._renew_lock()
        in_each_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def look(self, calls: int, unreadable: int) -> None:
        """Look at one search.

        Args:
            calls: of the model.
            unreadable: of these, without a reply that could be read.
        """
        if not calls or unreadable < calls:
            return
        with self._lock:
            first, self._said = not self._said, True
        if first:
            _log.warning(
                "not one of %d replies of the language model could be read, so %s; dspy.inspect_history() shows them. "
                "A model that thinks before it writes needs a higher max_tokens",
                calls,
                self._effect,
            )
