"""What everything else stands on: errors, safe files, run directories, progress, batching, summaries, secrets."""

from __future__ import annotations

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
