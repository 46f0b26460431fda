"""Gin at the edge: files and bindings are read here, and nowhere else."""

from tfcl.configuration.checks import refuse_missing_files
from tfcl.configuration.explaining import explain
from tfcl.configuration.gin_internals import name_of, wrapped
from tfcl.configuration.reading import apart, build, check_all_used, load
from tfcl.configuration.texts import (
    asked,
    bindings,
    differences,
    parse_bindings,
    used,
)

__all__ = [
    "apart",
    "asked",
    "bindings",
    "build",
    "check_all_used",
    "differences",
    "explain",
    "load",
    "name_of",
    "parse_bindings",
    "refuse_missing_files",
    "used",
    "wrapped",
]
