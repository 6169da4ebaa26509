"""The kinds of check. This dictionary is all there is to register one."""

from grader.checks import (
    choice,
    complexity,
    curve,
    expression,
    function,
    metric,
    model,
    source,
    value,
    written,
)
from grader.checks.base import Kind

KINDS: dict[str, Kind] = {
    "value": value,
    "expression": expression,
    "complexity": complexity,
    "choice": choice,
    "function": function,
    "model": model,
    "metric": metric,
    "curve": curve,
    "source": source,
    "written": written,
}
