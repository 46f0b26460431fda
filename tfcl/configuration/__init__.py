"""Gin at the edge: files and bindings are read here, and nowhere else."""

from tfcl.configuration.explaining import explain
from tfcl.configuration.reading import build, check_all_used, load
from tfcl.configuration.start_files import refuse_missing
from tfcl.configuration.texts import (
    asked,
    bindings,
    differences,
    parse_bindings,
    used,
)

__all__ = [
    "asked",
    "bindings",
    "build",
    "check_all_used",
    "differences",
    "explain",
    "load",
    "parse_bindings",
    "refuse_missing",
    "used",
]
