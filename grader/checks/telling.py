"""What is said of a wrong result whose inputs stay hidden: nothing that tells one of them."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator

from grader.compare import Difference
from grader.evidence import Raised
from grader.values import Tensor, Value

_MOST_DEPTH = 5
OTHER_KIND = "The result is of another kind or shape than asked."


def exception(name: str) -> str:
    """The name of an exception, if it is Python's own and so tells nothing of an input."""
    return name if name in _PYTHONS_OWN else "an exception"


def _names(kind: type[BaseException]) -> Iterator[str]:
    if kind.__module__ == "builtins":
        yield kind.__name__
        for derived in kind.__subclasses__():
            yield from _names(derived)


_PYTHONS_OWN = frozenset(_names(BaseException))


def beyond_name(raised: Raised) -> str:
    """What was raised, for staff who read `It raised ValueError.` before."""
    said = str(raised)
    if exception(raised.ename) != raised.ename:
        return f"raised {said}"
    return said.removeprefix(raised.ename).removeprefix(": ")


def placed(call: str, *said: str) -> str:
    """A call with what is said of it, in sentences: `f(x=3): it is wrong. Expected 2.`, say."""
    first, *others = [text.strip().rstrip(".") for text in said if text.strip()] or [""]
    return " ".join([f"{call}: {first}." if first else f"{call}.", *map(sentence, others)])


def sentence(text: str) -> str:
    """The same words with a capital letter and a full stop; nothing for nothing."""
    text = text.strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def hint(wrong: Collection[Difference], cases: int, *, by_size: bool) -> str:
    """A sentence on what is wrong, without numbers.

    Args:
        wrong: How the results of the wrong cases differ.
        cases: How many cases there are.
        by_size: Whether the wrong cases are of other sizes than the right ones.
    """
    first = next(iter(wrong))
    strange = next((one.nonfinite for one in wrong if one.nonfinite), "")
    if first.relation:
        return sentence(first.relation)
    if strange:
        everywhere = all(one.nonfinite for one in wrong) and len(wrong) == cases
        return f"It gives {strange}{'' if everywhere else ' for some arguments'}."
    if first.summary.startswith("expected ") or ": expected " in first.summary:
        return OTHER_KIND
    if len(wrong) == cases:
        return ""
    some = "It is right for some arguments and not for others"
    return f"{some}: is a size fixed in the code?" if by_size else f"{some}."


def sizes(value: Value, depth: int = 0) -> Hashable:
    """The shapes and lengths of all that a value holds, without what it holds."""
    if depth > _MOST_DEPTH:
        return None
    match value:
        case Tensor():
            return value.shape
        case list() | tuple():
            return (len(value), *(sizes(item, depth + 1) for item in value))
        case dict():
            return tuple(sizes(item, depth + 1) for item in value.values())
    return None
