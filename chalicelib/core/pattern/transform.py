"""``select``: a JMESPath expression on an event, with bounds for every expression. Pure.

The library reads the language; this module bounds the work, because a short expression can cause a lot of it: lists that
double with each step, texts that grow as they are written into texts, projections within projections. A time limit would
treat the same input differently each time. So each evaluated node is a step, values cost steps by their size, and no
intermediate value may exceed a size. An expression that exceeds a bound is stopped.

Source: https://jmespath.org/specification.html (read 2026-11-22).
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import jmespath.exceptions
import jmespath.functions
import jmespath.lexer
import jmespath.parser
import jmespath.visitor

from ..errors import InvalidTransform

EXPRESSION_MAX = 1000
DEPTH_MAX = 50
STEPS_MAX = 50_000
CHARACTERS_PER_STEP = 256
CHARACTERS_MAX = 8 * 1024 * 1024
"""How large any value may become on the way, in characters of its JSON."""
BODY_BYTES_MAX = 4 * 1024 * 1024
"""How large the result may be: as large as the largest event."""

FAULTS: Mapping[str, str] = {
    "work": f"it takes more than {STEPS_MAX} steps on this event",
    "size": f"it makes more than {BODY_BYTES_MAX >> 20} MiB, or more than {CHARACTERS_MAX >> 20} MiB on the way",
    "nothing": "it finds nothing in this event",
    "function": "a function gets a value in this event that it does not take",
    "number": "it makes a number that JSON does not have",
    "depth": "it makes, or this event holds, what is nested too deeply",
}
"""Why an expression fails on an event, in the words a tenant reads. None holds anything of the event."""

_FUNCTIONS: Mapping[str, Mapping[str, Any]] = jmespath.functions.Functions.FUNCTION_TABLE


class TransformFailed(Exception):
    """An expression makes nothing of an event that could be sent; ``reason`` is a key of ``FAULTS``."""

    def __init__(self, reason: str) -> None:
        super().__init__(FAULTS[reason])
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CompiledTransform:
    """A compiled expression."""

    expression: str
    tree: Mapping[str, Any] = field(repr=False)


@functools.lru_cache(maxsize=1024)
def compile(expression: str) -> CompiledTransform:
    """Compile an expression.

    Raises:
        InvalidTransform: it breaks a rule of the language, names an unknown function, or is longer or nested deeper than
            the bounds.
    """
    if len(expression) > EXPRESSION_MAX:
        raise InvalidTransform(EXPRESSION_MAX, f"an expression has at most {EXPRESSION_MAX} characters")
    try:
        tree = _Parser().parse(expression).parsed
    except jmespath.exceptions.ParseError as fault:
        raise InvalidTransform(min(fault.lex_position, len(expression)), "this is not JMESPath") from None
    except jmespath.exceptions.EmptyExpressionError:
        raise InvalidTransform(0, "the expression is empty") from None
    except RecursionError:
        raise InvalidTransform(0, f"it is nested deeper than {DEPTH_MAX}") from None
    except ValueError:  # a number with more digits than are ever read
        raise InvalidTransform(0, "it holds a number that cannot be read") from None
    _check(expression, tree, 1)
    return CompiledTransform(expression, tree)


def apply(transform: CompiledTransform, document: Mapping[str, Any]) -> Any:
    """Return the result of an expression on a document: a JSON value other than null. The document is unchanged.

    Raises:
        TransformFailed: there is no result, or it exceeds a bound.
    """
    try:
        result = _Interpreter(document).visit(transform.tree, document)
        if result is None:
            raise TransformFailed("nothing")
        written = json.dumps(result, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise TransformFailed("depth") from None
    except (jmespath.exceptions.JMESPathError, TypeError):
        raise TransformFailed("function") from None
    except (ArithmeticError, ValueError):
        raise TransformFailed("number") from None
    if len(written.encode("utf-8", "surrogatepass")) > BODY_BYTES_MAX:
        raise TransformFailed("size")
    return result


# Compiling


class _Lexer(jmespath.lexer.Lexer):  # type: ignore[misc]
    """The library's, without a spelling of texts that it only warns of: a literal is JSON."""

    def _consume_literal(self) -> dict[str, Any]:
        start = self._position
        lexeme = self._consume_until("`").replace("\\`", "`")
        try:
            value = json.loads(lexeme, parse_constant=_no_constant)
        except ValueError:
            raise jmespath.exceptions.LexerError(start, "", "not JSON") from None
        return {"type": "literal", "value": value, "start": start, "end": self._position - start}


class _Parser(jmespath.parser.Parser):  # type: ignore[misc]
    """The library's, with our lexer, and without its cache, which all of a process would share."""

    def parse(self, expression: str) -> Any:
        self.tokenizer = None
        self._tokens = list(_Lexer().tokenize(expression))
        self._index = 0
        open_now = 0
        for token in self._tokens:
            # Parentheses leave nothing in the tree, and how deep the parser may go is not for the caller's stack to say.
            open_now += {"lparen": 1, "rparen": -1}.get(token["type"], 0)
            if open_now > DEPTH_MAX:
                raise InvalidTransform(token["start"], f"it is nested deeper than {DEPTH_MAX}")
        parsed = self._expression(binding_power=0)
        if self._current_token() != "eof":
            token = self._lookahead_token(0)
            raise jmespath.exceptions.ParseError(token["start"], "", token["type"])
        return jmespath.parser.ParsedResult(expression, parsed)


def _no_constant(_: str) -> NoReturn:
    raise ValueError("not JSON")


def _check(expression: str, node: Any, depth: int, takes_expression: bool = False) -> None:
    """Refuse problems that would otherwise show only on an event: depth, functions, places of expressions."""
    if depth > DEPTH_MAX:
        raise InvalidTransform(0, f"it is nested deeper than {DEPTH_MAX}")
    if not isinstance(node, dict):  # a slice's numbers
        return
    kind, children = node["type"], node.get("children", [])
    takes = [False] * len(children)
    if kind == "expref" and not takes_expression:
        raise InvalidTransform(max(expression.find("&"), 0), "&… stands only where a function takes an expression")
    if kind == "literal":
        _check_literal(node["value"], depth)
    elif kind == "slice" and children[2] == 0:
        raise InvalidTransform(max(expression.find(":"), 0), "a slice's step is not 0")
    elif kind == "function_expression":
        takes = _taken(expression, node["value"], len(children))
    for child, taken in zip(children, takes, strict=True):
        _check(expression, child, depth + 1, taken)


def _check_literal(value: Any, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise InvalidTransform(0, f"it is nested deeper than {DEPTH_MAX}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidTransform(0, "it holds a number that cannot be read")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_literal(item, depth + 1)


def _taken(expression: str, name: str, count: int) -> list[bool]:
    """Return of each argument of a function whether it takes an expression."""
    at = max(expression.find(name), 0)
    if name not in _FUNCTIONS:
        raise InvalidTransform(at, f"there is no such function; use one of: {', '.join(sorted(_FUNCTIONS))}")
    signature = _FUNCTIONS[name]["signature"]
    variadic = bool(signature[-1].get("variadic"))
    if count < len(signature) or (count > len(signature) and not variadic):
        raise InvalidTransform(at, f"{name} takes {len(signature)} argument(s){' or more' if variadic else ''}")
    takes = ["expref" in argument["types"] for argument in signature]
    return [*takes, *([False] * (count - len(takes)))]


# Evaluating


class _Interpreter(jmespath.visitor.TreeInterpreter):  # type: ignore[misc]
    """The library's, counting. One for each evaluation."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__()
        self._left = STEPS_MAX
        # By identity; each is kept, so that no other value gets its place in memory.
        self._sizes: dict[int, tuple[Any, int]] = {}
        self._measure(document)

    def visit(self, node: Any, value: Any) -> Any:
        self._spend(1)
        result = super().visit(node, value)
        if isinstance(result, str):
            self._spend(len(result) // CHARACTERS_PER_STEP)
        elif isinstance(result, list | dict) and id(result) not in self._sizes:
            self._spend(len(result))
        elif isinstance(result, float) and not math.isfinite(result):
            raise TransformFailed("number")
        if self._measure(result) > CHARACTERS_MAX:
            raise TransformFailed("size")
        return result

    def visit_comparator(self, node: Any, value: Any) -> Any:
        left, right = (self.visit(child, value) for child in node["children"])
        self._spend((self._measure(left) + self._measure(right)) // CHARACTERS_PER_STEP)
        if node["value"] not in self._EQUALITY_OPS and isinstance(left, str) != isinstance(right, str):
            return None  # the library would ask Python, which refuses
        return super().visit_comparator({**node, "children": [_literal(left), _literal(right)]}, value)

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        arguments = [self.visit(child, value) for child in node["children"]]
        for argument in arguments:
            length = len(argument) if isinstance(argument, list) else 0
            self._spend(length + self._measure(argument) // CHARACTERS_PER_STEP)
        if node["value"] == "join":
            _check_join(*arguments)
        return self._functions.call_function(node["value"], arguments)

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise TransformFailed("work")

    def _measure(self, value: Any) -> int:
        """Return about how many characters a value's JSON has; a value contained twice counts twice."""
        if isinstance(value, str):
            return len(value) + 2
        if isinstance(value, int):
            return value.bit_length() // 3 + 1
        if not isinstance(value, list | dict):
            return 20
        known = self._sizes.get(id(value))
        if known is not None:
            return known[1]
        size = 2 + sum(self._measure(item) + 1 for item in (value.values() if isinstance(value, dict) else value))
        if isinstance(value, dict):
            size += sum(len(name) + 3 for name in value)
        self._sizes[id(value)] = (value, size)
        return size


def _check_join(between: Any, texts: Any) -> None:
    """Bound the one function whose result can exceed a few times its input, before it is called."""
    if isinstance(between, str) and isinstance(texts, list) and len(between) * len(texts) > CHARACTERS_MAX:
        raise TransformFailed("size")


def _literal(value: Any) -> dict[str, Any]:
    return {"type": "literal", "value": value, "children": []}
