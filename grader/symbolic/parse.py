"""A formula that a student wrote -> a checked tree; never eval.

Reads Python's spelling, a hand-written one (`^`, implicit multiplication, `nt` for `n t`) and
LaTeX's. Division and implicit multiplication bind alike, from left to right: `1/2 n` is n/2.
"""

from __future__ import annotations

import re

import grader.symbolic.bounds as bounds
from grader.symbolic.grammar import Parser, Refusal
from grader.symbolic.tokens import Token, tokenize
from grader.symbolic.tree import Expression, Symbols, Unreadable

ESCAPES = {"\f": "\\f", "\t": "\\t", "\r": "\\r", "\b": "\\b"}
#: Escapes that were the start of a LaTeX command: \frac, \times, \theta, \text, \right, \beta, ...
LOST_BACKSLASH = re.compile(
    r"\f(?=rac)|\t(?=imes|heta|ext|au\b|frac)|\r(?=ight|ho\b|floor|ceil)|\x08(?=eta|inom|ar\b|ig)"
)
#: Words behind a formula; a short one may be a name, such as `\mathrm{n}`.
WORDS = re.compile(r"\\(?:text|mathrm)\{[^{}]*[^\W\d]{4}[^{}]*\}\s*$")
FRACTIONS = {"½": "(1/2)", "¼": "(1/4)", "¾": "(3/4)", "⅓": "(1/3)", "⅔": "(2/3)"}


def parse(text: str, symbols: Symbols, *, growth: bool = False) -> Expression | Unreadable:
    """Read a formula.

    Args:
        text: What somebody wrote; `name = formula` stands for the formula.
        symbols: The names it may use, see `declare`.
        growth: Whether `O(...)` and `Theta(...)` may stand around it.
    """
    if len(text) > bounds.MAX_LENGTH:
        reason = f"it has {len(text)} characters, at most {bounds.MAX_LENGTH} are read"
        return Unreadable(reason, 0, too_complex=True)
    tokens = tokenize(mended(text))
    if isinstance(tokens, Unreadable):
        return tokens
    try:
        root = Parser(_right_hand_side(tokens), symbols, growth=growth).formula()
        bounds.check_shape(root)
        bounds.check_size(root)
    except Refusal as refusal:
        return refusal.answer
    except bounds.TooLarge as error:
        return Unreadable(str(error), 0, too_complex=True)
    return Expression(text, root)


_BARS = r"(?:\\(?:left|right))?(?:\\\||\|\|?|\u2016|\\[lr]?Vert\b)"
#: `||x_1|| =` before a formula: what it is the norm of.
NORM_OF = re.compile(rf"\s*{_BARS}[^=|\u2016]{{1,30}}?{_BARS}(?:_2)?\s*=(?!=)")


def mended(text: str) -> str:
    r"""Undo what typing does to formulas, without changing what they mean.

    A LaTeX command in a string without `r` has lost its backslash to an escape (`"\frac"` begins
    with a form feed); a comment, `\text{...}` or a line break stands behind the formula.
    """
    found = NORM_OF.match(text)
    text = text[found.end() :] if found else text
    text = LOST_BACKSLASH.sub(lambda found: ESCAPES[found[0]], text)
    text = WORDS.sub(" ", text.partition("#")[0] or text)
    for sign, fraction in FRACTIONS.items():
        text = text.replace(sign, fraction)
    return text.rstrip().removesuffix("\\\\")


def _right_hand_side(tokens: list[Token]) -> list[Token]:
    """Drop `count =` or `T(n) =` before the formula."""
    at = [i for i, token in enumerate(tokens) if token.text == "="]
    if at[:1] == [0]:
        # "= c h": it goes on from the question's words.
        tokens, at = tokens[1:], [i - 1 for i in at[1:]]
    if not at:
        return tokens
    if len(at) > 1:
        raise Refusal("it has several equals signs; give one formula", tokens[at[1]].position)
    left, right = tokens[: at[0]], tokens[at[0] + 1 :]
    names = [token for token in left if token.kind == "name"]
    plain = len(left) == 1 and len(names) == 1
    call = [token.text for token in left if token.kind != "name" and token.text != ","]
    if not plain and not (call == ["(", ")"] and left[0] in names and left[-1].text == ")"):
        raise Refusal("left of the equals sign there must be a name", tokens[at[0]].position)
    return right
