"""The part of GitHub's expression language that the workflows use. Anything else is an error, never an empty string.

Source: GitHub Docs, "Evaluate expressions in workflows and actions".
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<operator>\|\||&&|==|!=|[!(),])|(?P<name>[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*))")
STATUS = ("always", "success", "failure", "cancelled")


class UnknownExpressionError(Exception):
    """Something that this evaluator does not know."""


def evaluate(text: str, context: Mapping[str, Any]) -> Any:
    """The value of an expression without its braces.

    Raises:
        UnknownExpressionError: for syntax, contexts, properties or functions that are not known here.
    """
    parser = _Parser(_tokens(text), context)
    value = parser.either()
    if parser.tokens:
        raise UnknownExpressionError(f"{text}: {parser.tokens[0][1]} is one too many")
    return value


def filled(text: str, context: Mapping[str, Any]) -> str:
    """A text with every `${{ }}` replaced."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: as_text(evaluate(found[1], context)), text)


def condition(text: str | bool | None, context: Mapping[str, Any]) -> bool:
    """Whether an `if:` holds; without a status function it asks for success as well."""
    if text is None:
        return bool(evaluate("success()", context))
    bare = str(text).strip().removeprefix("${{").removesuffix("}}")
    asks = any(re.search(rf"\b{name}\(\)", bare) for name in STATUS)
    return (asks or bool(evaluate("success()", context))) and truth(evaluate(bare, context))


def as_text(value: Any) -> str:
    """How a value appears in a text."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def truth(value: Any) -> bool:
    """False, null, 0 and the empty string are false."""
    return bool(value)


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while text[place:].strip():
        match = TOKEN.match(text, place)
        if match is None:
            raise UnknownExpressionError(f"{text}: not known from {text[place:]!r}")
        found.append((str(match.lastgroup), match[match.lastgroup]))
        place = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], context: Mapping[str, Any]) -> None:
        self.tokens, self.context = tokens, context

    def either(self) -> Any:
        value = self.both()
        while self._take("||"):
            other = self.both()
            value = value if truth(value) else other
        return value

    def both(self) -> Any:
        value = self.equal()
        while self._take("&&"):
            other = self.equal()
            value = other if truth(value) else value
        return value

    def equal(self) -> Any:
        value = self.single()
        for operator, expected in (("==", True), ("!=", False)):
            if self._take(operator):
                return (as_text(value).lower() == as_text(self.single()).lower()) is expected
        return value

    def single(self) -> Any:
        if self._take("!"):
            return not truth(self.single())
        if self._take("("):
            value = self.either()
            self._need(")")
            return value
        kind, text = self.tokens.pop(0) if self.tokens else ("nothing", "")
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind != "name":
            raise UnknownExpressionError(f"{text or 'the end'} where a value belongs")
        return self._call(text) if self._take("(") else self._look_up(text)

    def _call(self, name: str) -> Any:
        arguments = []
        while not self._take(")"):
            arguments.append(self.either())
            self._take(",")
        functions: dict[str, Callable[..., Any]] = {"toJSON": lambda value: json.dumps(value, indent=2), **self.context["functions"]}
        if name not in functions:
            raise UnknownExpressionError(f"the function {name}()")
        return functions[name](*arguments)

    def _look_up(self, name: str) -> Any:
        if name in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[name]
        first, *rest = name.split(".")
        if first == "functions" or first not in self.context:
            raise UnknownExpressionError(f"the context {first}")
        value = self.context[first]
        for depth, part in enumerate(rest):
            if getattr(value, "open", False) and part not in value:
                return None
            if not isinstance(value, Mapping) or part not in value:
                raise UnknownExpressionError(f"{'.'.join([first, *rest[: depth + 1]])} is not there")
            value = value[part]
        return value

    def _take(self, operator: str) -> bool:
        if self.tokens and self.tokens[0] == ("operator", operator):
            self.tokens.pop(0)
            return True
        return False

    def _need(self, operator: str) -> None:
        if not self._take(operator):
            raise UnknownExpressionError(f"{operator} is missing")


class Open(dict[str, Any]):
    """A context whose properties may be missing: configuration variables, and the outputs of steps that did not run."""

    open = True
