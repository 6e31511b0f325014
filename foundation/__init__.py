"""What everything else stands on: errors, safe files, run directories, progress, batching, summaries, secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inpars_plus.foundation.lazy import lazy_attributes

if TYPE_CHECKING:
    from inpars_plus.foundation.batching import Batcher, batched
    from inpars_plus.foundation.errors import (
        ConfigurationError,
        CorpusError,
        DeadModelError,
        InParsError,
        InputError,
        MissingPartError,
        ModelError,
        NoReplyError,
        ProgramFileError,
        ReplyError,
        RunError,
        SpendingCapError,
    )
    from inpars_plus.foundation.files import (
        JSON,
        append_lines,
        default_cache_directory,
        digest,
        digest_file,
        read_json,
        read_lines,
        replacing,
        write_bytes,
        write_json,
        write_lines,
        write_text,
    )
    from inpars_plus.foundation.folders import copy_folder, replacing_folder
    from inpars_plus.foundation.parts import require
    from inpars_plus.foundation.progress import Bar, bar, log_to_stderr, say, track
    from inpars_plus.foundation.runs import Run
    from inpars_plus.foundation.secrets import (
        HIDDEN,
        contains_secret,
        hide_secrets,
        redact,
        register_address,
        register_secret,
    )
    from inpars_plus.foundation.summaries import LmUsage, Summary, peak_memory_mb, write_summary

__all__ = [
    "HIDDEN",
    "JSON",
    "Bar",
    "Batcher",
    "ConfigurationError",
    "CorpusError",
    "DeadModelError",
    "InParsError",
    "InputError",
    "LmUsage",
    "MissingPartError",
    "ModelError",
    "NoReplyError",
    "ProgramFileError",
    "ReplyError",
    "Run",
    "RunError",
    "SpendingCapError",
    "Summary",
    "append_lines",
    "bar",
    "batched",
    "contains_secret",
    "copy_folder",
    "default_cache_directory",
    "digest",
    "digest_file",
    "hide_secrets",
    "log_to_stderr",
    "peak_memory_mb",
    "read_json",
    "read_lines",
    "redact",
    "register_address",
    "register_secret",
    "replacing",
    "replacing_folder",
    "require",
    "say",
    "track",
    "write_bytes",
    "write_json",
    "write_lines",
    "write_summary",
    "write_text",
]

# Imported when first asked for: every other folder imports this one, and does not wait for what it does not use.
_HOMES = {
    "HIDDEN": "secrets",
    "JSON": "files",
    "Bar": "progress",
    "Batcher": "batching",
    "ConfigurationError": "errors",
    "CorpusError": "errors",
    "DeadModelError": "errors",
    "InParsError": "errors",
    "InputError": "errors",
    "LmUsage": "summaries",
    "MissingPartError": "errors",
    "ModelError": "errors",
    "NoReplyError": "errors",
    "ProgramFileError": "errors",
    "ReplyError": "errors",
    "Run": "runs",
    "RunError": "errors",
    "SpendingCapError": "errors",
    "Summary": "summaries",
    "append_lines": "files",
    "bar": "progress",
    "batched": "batching",
    "contains_secret": "secrets",
    "copy_folder": "folders",
    "default_cache_directory": "files",
    "digest": "files",
    "digest_file": "files",
    "hide_secrets": "secrets",
    "log_to_stderr": "progress",
    "peak_memory_mb": "summaries",
    "read_json": "files",
    "read_lines": "files",
    "redact": "secrets",
    "register_address": "secrets",
    "register_secret": "secrets",
    "replacing": "files",
    "replacing_folder": "folders",
    "require": "parts",
    "say": "progress",
    "track": "progress",
    "write_bytes": "files",
    "write_json": "files",
    "write_lines": "files",
    "write_summary": "summaries",
    "write_text": "files",
}

if not TYPE_CHECKING:  # a checker that sees this takes any name for one of the package
    __getattr__, __dir__ = lazy_attributes(__name__, _HOMES)
