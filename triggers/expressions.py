"""The expressions of a source: `id`, `type`, `subject` taken from the message itself. Pure."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from triggers.base import Expression, SourceConfig, SourceContext
from triggers.errors import BadEvent, SourceRejected
from triggers.message import TriggerMessage, document
from triggers.templates import MAX_TEXT

_KINDS: Final = {
    type(None): "null",
    bool: "true or false",
    float: "a number with a fraction",
    list: "a list",
    dict: "an object",
}


def compile_expressions(config: SourceConfig, context: SourceContext) -> dict[str, Expression]:
    """Compile the expressions that a configuration has, by field. Raise SourceRejected."""
    compiled = {}
    for field in config.expressions:
        text = getattr(config, field)
        if text is not None:
            try:
                seen = config.sees.get(field)
                compiled[field] = (
                    context.expression(text) if seen is None else context.expression_over(text, seen)
                )
            except ValueError as error:
                raise SourceRejected(f"{context.name}: `{field}:` {error}") from error
    return compiled


def expressed(message: TriggerMessage, expressions: Mapping[str, Expression]) -> TriggerMessage:
    """Return the message with the attributes that are configured as expressions.

    Raise BadEvent when one gives no text; a subject may be absent.
    """
    seen = document(message)
    found: dict[str, Any] = {}
    for name, expression in expressions.items():
        text, problem = _evaluate(expression, seen)
        if text is None and name != "subject":
            raise BadEvent(f"no-{name}", f"the expression `{name}:` gives no text: {problem}")
        found[name] = text
    return msgspec.structs.replace(message, **found)


def _evaluate(expression: Expression, seen: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the text that an expression gives, or None and why it gives none."""
    try:
        value = expression(seen)
    except ValueError as error:
        return None, str(error)[:200]
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None, f"it gives {_KINDS.get(type(value), 'no text')}"
    if not value or len(value) > MAX_TEXT or not value.isprintable():
        return None, f"it is empty, longer than {MAX_TEXT} characters, or not printable"
    return value, ""
