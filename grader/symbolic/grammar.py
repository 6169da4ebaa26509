"""The grammar of formulas: tokens -> tree, by recursive descent."""

from __future__ import annotations

import difflib
from fractions import Fraction

import grader.symbolic.bounds as bounds
from grader.symbolic.names import Piece, apply, arity, split_name
from grader.symbolic.tokens import Token
from grader.symbolic.tree import Call, Constant, Name, Node, Number, Symbols, Unreadable, key_of

_CLOSING = {"(": ")", "[": "]", "{": "}", "⌊": "⌋", "⌈": "⌉", "|": "|"}
_OPENING = ("(", "[", "{")
_GROWTH_WRAPPERS = ("O", "Theta", "bigO", "BigO")


class Refusal(Exception):
    """The formula is not read; `answer` says why."""

    def __init__(self, reason: str, position: int, *, too_complex: bool = False) -> None:
        """Keep what the caller of the parser gets."""
        super().__init__(reason)
        self.answer = Unreadable(reason, position, too_complex)


class Parser:
    """One formula being read; `formula` is the way in."""

    def __init__(self, tokens: list[Token], symbols: Symbols, *, growth: bool) -> None:
        """Start at the first token; the last one has the kind `end`."""
        self._tokens = tokens
        self._at = 0
        self._symbols = symbols
        self._keys = {key_of(name): name for name in symbols}
        self._growth = growth
        self._depth = 0
        self._in_bars = False

    def formula(self) -> Node:
        """Read all of it.

        Raises:
            Refusal: It is no formula, or nested too deep.
        """
        if self._token.kind == "end":
            raise Refusal("it is empty", 0)
        root = self._sum()
        if self._sees(")", "]", "}"):
            raise self._refuse(f"nothing opened the {self._token.text!r} at character")
        if self._token.kind != "end":
            raise self._unexpected("an operator such as * or +")
        return root

    # small steps

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _sees(self, *ops: str) -> bool:
        return self._token.kind == "op" and self._token.text in ops

    def _take(self) -> Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > bounds.MAX_DEPTH:
            reason = f"it is nested more than {bounds.MAX_DEPTH} deep"
            raise Refusal(reason, self._token.position, too_complex=True)

    def _refuse(self, reason: str, token: Token | None = None) -> Refusal:
        where = (token or self._token).position
        return Refusal(f"{reason} {where + 1}", where)

    def _unexpected(self, wanted: str) -> Refusal:
        if self._token.kind == "end":
            return Refusal(f"expected {wanted} where the formula ends", self._token.position)
        return self._refuse(f"expected {wanted}, not {self._token.text!r}, at character")

    # sums, products, powers

    def _sum(self) -> Node:
        self._enter()
        terms = [self._product()]
        while self._sees("+", "-"):
            minus = self._take().text == "-"
            term = self._product()
            terms.append(Call("neg", (term,)) if minus else term)
        self._depth -= 1
        return terms[0] if len(terms) == 1 else Call("+", tuple(terms))

    def _product(self) -> Node:
        factors = [self._signed()]
        while True:
            if self._sees("*"):
                self._take()
                factors.append(self._signed())
            elif self._sees("/"):
                self._take()
                factors.append(Call("inv", (self._signed(),)))
            elif self._sees("//"):
                self._take()
                quotient = _times([*factors, Call("inv", (self._signed(),))])
                factors = [Call("floor", (quotient,))]
            elif self._sees("%"):
                self._take()
                factors = [Call("mod", (_times(factors), self._signed()))]
            elif self._starts_operand():
                factors.append(self._power())
            elif self._token.kind == "number":
                raise self._refuse("put * or ^ before the number at character")
            else:
                return _times(factors)

    def _starts_operand(self) -> bool:
        if self._sees("|"):
            return not self._in_bars
        return self._token.kind == "name" or self._sees(*_OPENING, "⌊", "⌈", "frac", "binom")

    def _signed(self) -> Node:
        minus = False
        while self._sees("+", "-"):
            minus ^= self._take().text == "-"
        power = self._power()
        return Call("neg", (power,)) if minus else power

    def _power(self) -> Node:
        base = self._postfix()
        if not self._sees("^"):
            return base
        self._take()
        self._enter()
        exponent = self._signed()
        self._depth -= 1
        return Call("^", (base, exponent))

    def _postfix(self) -> Node:
        node = self._primary()
        while self._sees("!"):
            self._take()
            node = Call("factorial", (node,))
        return node

    # operands

    def _primary(self) -> Node:
        if self._token.kind == "number":
            return self._number()
        if self._token.kind == "name":
            return self._name()
        if self._sees(*_OPENING):
            return self._group()
        if self._sees("⌊", "⌈", "|"):
            op = {"⌊": "floor", "⌈": "ceil", "|": "abs"}[self._token.text]
            return Call(op, (self._group(),))
        if self._sees("frac", "binom"):
            op = self._take().text
            first, second = self._latex_argument(), self._latex_argument()
            if op == "binom":
                return Call("binomial", (first, second))
            return Call("*", (first, Call("inv", (second,))))
        raise self._unexpected("a number, a name or a parenthesis")

    def _group(self) -> Node:
        opening = self._token
        found = self._arguments()
        if len(found) != 1:
            raise self._refuse("there is a comma in the parentheses at character", opening)
        return found[0]

    def _arguments(self) -> list[Node]:
        """What stands between parentheses, apart by commas."""
        opening = self._take()
        outside, self._in_bars = self._in_bars, opening.text == "|"
        found = [self._sum()]
        while self._sees(","):
            self._take()
            found.append(self._sum())
        if self._token.kind == "end":
            text = f"no {_CLOSING[opening.text]!r} closes the {opening.text!r} at character"
            raise self._refuse(text, opening)
        if not self._sees(_CLOSING[opening.text]):
            raise self._unexpected(repr(_CLOSING[opening.text]))
        self._take()
        self._in_bars = outside
        return found

    def _latex_argument(self) -> Node:
        if self._sees("{"):
            return self._group()
        self._enter()
        argument = self._primary()
        self._depth -= 1
        return argument

    def _number(self) -> Node:
        token = self._take()
        mantissa, _, exponent = token.text.lower().partition("e")
        digits = mantissa.replace(".", "").lstrip("0")
        too_long = len(digits) > bounds.MAX_DIGITS or len(exponent) > bounds.MAX_DIGITS
        if too_long or abs(int(exponent or 0)) > bounds.MAX_DECIMAL_EXPONENT:
            raise Refusal("a number in it is too large", token.position, too_complex=True)
        decimal = len(digits.rstrip("0")) if "." in mantissa else 0
        return Number(Fraction(token.text), decimal)

    # names and functions

    def _name(self) -> Node:
        token = self._take()
        if self._growth and token.text in _GROWTH_WRAPPERS and self._sees(*_OPENING):
            return self._group()
        pieces = split_name(token.text, self._keys)
        if pieces and not token.command and self._spells_symbols(token.text, pieces):
            pieces = [Piece("symbol", self._keys[letter]) for letter in token.text]
        if pieces is None and token.text == "C" and self._sees("("):
            pieces = [Piece("function", "binomial")]
        if pieces is None:
            raise self._unknown(token)
        first, *rest = pieces
        self._tokens[self._at : self._at] = [
            Token("number" if piece.kind == "number" else "name", piece.text, token.position)
            for piece in rest
        ]
        if first.kind == "function":
            return self._function(first.text, token)
        return Constant(first.text) if first.kind == "constant" else Name(first.text)

    def _spells_symbols(self, text: str, pieces: list[Piece]) -> bool:
        """Whether `ln` is l times n, because both are declared; LaTeX's command never is."""
        functions = any(piece.kind == "function" for piece in pieces)
        return functions and all(letter in self._keys for letter in text)

    def _unknown(self, token: Token) -> Refusal:
        if token.text in _GROWTH_WRAPPERS and self._sees("("):
            reason = f"{token.text}(...) is a growth class; the exact formula is asked for"
            return Refusal(reason, token.position)
        if token.text == "Omega" and self._growth:
            return Refusal("Omega gives only a lower bound; use O or Theta", token.position)
        near = [name for name in self._symbols if name.lower() == token.text.lower()]
        near = near or difflib.get_close_matches(token.text, self._symbols, 1, 0.75)
        hint = f" (did you mean {near[0]}?)" if near else ""
        known = ", ".join(self._symbols) or "numbers only"
        kind = "function" if self._sees("(") else "name"
        reason = f"{token.text[:40]!r} is an unknown {kind}{hint}; the formula may use {known}"
        return Refusal(reason, token.position)

    def _function(self, name: str, token: Token) -> Node:
        self._enter()
        power = self._function_power()
        index = self._root_index() if name == "sqrt" else None
        args = self._arguments() if self._sees(*_OPENING) else [self._bare_argument(name)]
        low, high = arity(name)
        if not low <= len(args) <= high:
            wanted = "one argument" if high == 1 else f"{low} to {high} arguments"
            raise Refusal(f"{name} takes {wanted}, not {len(args)}", token.position)
        self._depth -= 1
        node = apply(name, args, index)
        return node if power is None else Call("^", (node, power))

    def _function_power(self) -> Node | None:
        """The 2 of `log^2 n`."""
        if not self._sees("^"):
            return None
        self._take()
        power = self._postfix()
        if isinstance(power, Call) and power.op == "neg":
            raise self._refuse("write a negative power after the argument, at character")
        return power

    def _root_index(self) -> Node | None:
        r"""The 3 of `\sqrt[3]{x}`; `sqrt[n]` is a root of n."""
        start = self._at
        index = self._group() if self._sees("[") else None
        if self._sees("{", "("):
            return index
        self._at = start
        return None

    def _bare_argument(self, name: str) -> Node:
        """The argument of `log n` or `log 2n`; of a root, one number or name."""
        if name == "sqrt":
            return self._postfix()
        if self._token.kind == "number" and self._tokens[self._at + 1].kind == "name":
            return Call("*", (self._power(), self._power()))
        return self._power()


def _times(factors: list[Node]) -> Node:
    return factors[0] if len(factors) == 1 else Call("*", tuple(factors))
