"""Text of a formula -> tokens: Python's, a hand-written and LaTeX's spelling become one.

A token remembers where it stood in the text, so that a message can point at it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace

from grader.symbolic.tree import Unreadable

_GREEK = re.findall(
    "[a-z]+",
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
    "sigmaf sigma tau upsilon phi chi psi omega",
)
GREEK = {
    **{chr(0x3B1 + i): name for i, name in enumerate(_GREEK)},
    **{chr(0x391 + i): name.capitalize() for i, name in enumerate(_GREEK)},
    "ϵ": "epsilon",
    "ϕ": "phi",
    "ϑ": "theta",
}
_LOOKS_LIKE = {
    **dict.fromkeys("\u00b7\u00d7\u22c5\u2217\u2219\u2022", "*"),  # dots, crosses, bullets
    **dict.fromkeys("\u2212\u2013\u2014\u2010\u2011", "-"),  # dashes that word processors write
    **dict.fromkeys("\u2215\u2044\u00f7", "/"),
    **dict.fromkeys("\u00a0\u2009\u200a\u202f\u200b\u2061\u2062\ufeff", " "),
    "\u2223": "|",
    "\u2113": "l",
}
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "0123456789+-()ni", strict=True))
_LOWERED = {chr(0x2080 + i): str(i) for i in range(10)}
_COMMANDS = {
    **dict.fromkeys(("cdot", "times", "ast"), "*"),
    **dict.fromkeys(("bmod", "mod"), "%"),
    **dict.fromkeys(("vert", "lvert", "rvert", "mid"), "|"),
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac"), "frac"),
    **dict.fromkeys(("binom", "dbinom", "tbinom"), "binom"),
    **{"div": "/", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "in": "="},
    **{"lbrace": "{", "rbrace": "}", "lbrack": "[", "rbrack": "]"},
}
_SUBSCRIPT = (
    r"(?:_(?:\{\s*(?:\\(?:text|mathrm)\{\w+\}|[A-Za-z0-9]+(?:\s*,\s*[A-Za-z0-9]+)*)\s*\}|{width})"
    r"|[₀-₉]+)*"
)
_NAME_SUBSCRIPT = _SUBSCRIPT.replace("{width}", "[A-Za-z0-9]+") + r"(?:_(?![A-Za-z0-9{\\_]))?"
_LATEX_SUBSCRIPT = _SUBSCRIPT.replace("{width}", "[A-Za-z0-9]")  # one character, as in LaTeX
_PATTERN = re.compile(
    rf"""
    (?P<space> \s+ | ~ | \$ | \\[,;:!>\ ()\[\]]
        | \\(?: q?quad | displaystyle | limits | nolimits )(?![A-Za-z])
        | \\(?: left | right | [Bb]igg?[lrm]? )(?![A-Za-z])\.?
        | (?: math | np | numpy | sympy | sp | torch )\.(?=[A-Za-z]) )
    | (?P<number> (?: [0-9]+(?:_[0-9]{{3}})*(?:\.[0-9]*)? | \.[0-9]+ )(?:[eE][+-]?[0-9]+)? )
    | \\(?: mathrm | text | textit | textrm | operatorname | mathit | mathsf | mathcal | mathbf )
        \s*(?: \{{\s*(?P<wrapped>[A-Za-z][A-Za-z0-9_]*)\s*\}} | (?P<letter>[A-Za-z]) )
        (?P<wrapped_sub>{_LATEX_SUBSCRIPT})
    | \\(?P<command>[A-Za-z]+)(?P<command_sub>{_LATEX_SUBSCRIPT})
    | (?P<name>(?:[A-Za-z][A-Za-z0-9]*|[{"".join(GREEK)}]){_NAME_SUBSCRIPT})
    | (?P<raised>[{"".join(_RAISED)}]+)
    | (?P<op> \*\* | // | == | := | [-+*/^%()\[\]{{}},!|=√∈⌊⌋⌈⌉] )
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A number, a name or an operator (`kind`), or the end of the text."""

    kind: str
    text: str
    position: int
    command: bool = False
    """Whether it is a name written as a command of LaTeX, such as `\\ln`."""


def tokenize(text: str) -> list[Token] | Unreadable:
    """Split a formula into tokens; the last one has the kind `end`."""
    clean = "".join(map(_plain, text)).rstrip(" .;,\n\t$")
    tokens: list[Token] = []
    position = 0
    while position < len(clean):
        found = _PATTERN.match(clean, position)
        if found is None:
            shown = text[position] if text[position].isprintable() else repr(text[position])
            return Unreadable(
                f"character {position + 1} ({shown}) is not part of a formula", position
            )
        made = _tokens(found)
        if isinstance(made, Unreadable):
            return made
        tokens += made
        position = found.end()
        if made and made[-1].text == "frac":
            position = _short_fraction(clean, position, tokens)
    return [*tokens, Token("end", "", len(clean))]


def _plain(char: str) -> str:
    """Write a mathematical or full-width letter as the plain one; always one character."""
    if char in _LOOKS_LIKE:
        return _LOOKS_LIKE[char]
    if 0x1D400 <= ord(char) <= 0x1D7FF or 0xFF01 <= ord(char) <= 0xFF5E or char == "\u210e":
        plain = unicodedata.normalize("NFKC", char)
        return plain if len(plain) == 1 else char
    return char


def _tokens(found: re.Match[str]) -> list[Token] | Unreadable:
    start, text = found.start(), found.group()
    match found.lastgroup:
        case "number":
            return [Token("number", text.replace("_", ""), start)]
        case "name":
            return [Token("name", _spelled(text), start)]
        case "wrapped_sub":
            name = found["wrapped"] or found["letter"]
            return [Token("name", _spelled(name + found["wrapped_sub"]), start)]
        case "command_sub":
            return _command(found["command"], found["command_sub"], start)
        case "raised":
            return _exponent(text, start)
        case "op":
            same = {"**": "^", "==": "=", ":=": "=", "∈": "="}
            if text == "√":
                return [Token("name", "sqrt", start)]
            return [Token("op", same.get(text, text), start)]
    return []


def _spelled(name: str) -> str:
    """Spell a name in ASCII: Greek letters in full, subscripts after an underscore."""
    name = re.sub(r"\\(?:text|mathrm)\{(\w+)\}", r"\1", name)
    name = re.sub("[₀-₉]+", lambda low: "_" + "".join(_LOWERED[c] for c in low.group()), name)
    return "".join(GREEK.get(char, char) for char in re.sub(r"[{} ,]", "", name)).rstrip("_")


def _command(command: str, subscript: str, start: int) -> list[Token] | Unreadable:
    if command in _COMMANDS:
        return [Token("op", _COMMANDS[command], start)]
    if command.startswith("var") and command[3:] in GREEK.values():
        command = command[3:]
    name = "l" if command == "ell" else command
    return [Token("name", _spelled(name + subscript), start, command=True)]


def _exponent(raised: str, start: int) -> list[Token] | Unreadable:
    inner = tokenize("".join(_RAISED[char] for char in raised))
    if isinstance(inner, Unreadable):
        return inner
    moved = [replace(token, position=start) for token in inner[:-1]]
    return [Token("op", "^", start), Token("op", "(", start), *moved, Token("op", ")", start)]


def _short_fraction(text: str, position: int, tokens: list[Token]) -> int:
    r"""Read the `12` of `\frac12` as two tokens; return where to go on."""
    found = re.compile(r"\s*([0-9A-Za-z])\s*([0-9A-Za-z])?").match(text, position)
    if found is None:
        return position
    for group in (1, 2):
        if found[group]:
            kind = "number" if found[group].isdigit() else "name"
            tokens.append(Token(kind, found[group], found.start(group)))
    return found.end()
