"""The kinds of check. This dictionary is all there is to register one."""

from grader.checks import (
    choice,
    complexity,
    curve,
    expression,
    figure,
    function,
    metric,
    model,
    output,
    property,
    scaling,
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
    "property": property,
    "scaling": scaling,
    "model": model,
    "metric": metric,
    "curve": curve,
    "output": output,
    "figure": figure,
    "source": source,
    "written": written,
}
