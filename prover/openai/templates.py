"""Chat templates as model files carry them: Jinja, in a sandbox, with a bound on steps and on text.

A template is a stranger's program. It reaches nothing but the conversation, its loops are counted, and no text that it makes grows
beyond a bound.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rollup.errors import LoweringError, TouchstoneError

MOST_STEPS = 100_000
"""Turns of all loops of one rendering together."""

MOST_TEXT = 4 << 20
"""Characters of any text that a template makes, and of all that it writes."""

MOST_SOURCE = 1 << 18
"""Characters of a template."""

MOST_DEPTH, MOST_TOKENS = 32, 1000
"""Of blocks and brackets in each other, and of macros that call each other; of one expression or tag. Jinja recurses as deep, and
libraries of a chain raise Python's recursion limit beyond what the stack holds.
"""

_FILTERS = (
    "abs capitalize count d default dictsort e escape first float int items join last length list lower map max min reject "
    "rejectattr replace reverse round safe select selectattr sort string sum title tojson trim unique upper"
)
FILTERS = frozenset(_FILTERS.split())
"""What conversations need; filters that make long texts from short ones are left out."""

_TEXT_METHODS = (
    "capitalize endswith find isdigit lower lstrip replace rsplit rstrip split splitlines startswith strip title upper"
)
METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(_TEXT_METHODS.split()),
    dict: frozenset(["get", "items", "keys", "values"]),
    list: frozenset(["count", "index"]),
    tuple: frozenset(["count", "index"]),
}
"""Methods that a template may call, by type."""


@dataclass
class _Left:
    """What one rendering may still do."""

    steps: int = MOST_STEPS
    text: int = MOST_TEXT
    depth: int = MOST_DEPTH


_left: ContextVar[_Left] = ContextVar("left")


class TemplateRefusal(TouchstoneError):
    """A template can't be rendered, or refuses the conversation."""


class ChatTemplate:
    """A template of a model file. ``special``: texts that it may name, such as ``bos_token``."""

    def __init__(self, source: str, special: Mapping[str, str], where: str) -> None:
        """Raises LoweringError, naming ``where``, for a template that is no sound Jinja or needs what is not allowed."""
        self._special, self._where = dict(special), where
        if len(source) > MOST_SOURCE:
            raise LoweringError(f"{where}: the chat template has more than {MOST_SOURCE} characters; use completions")
        try:
            environment = _Environment()
            self._template = environment.from_string(environment.counted(source))
        except (TemplateError, RecursionError) as error:
            raise LoweringError(f"{where}: the chat template can't be used ({error}); use completions") from None

    def render(self, messages: Sequence[Mapping[str, Any]], created: int) -> str:
        """The prompt's text for a conversation, up to where the assistant speaks. ``created``: what its clock says, in UTC.

        Raises TemplateRefusal if the template refuses the conversation, or does more than is allowed.
        """
        now = datetime.fromtimestamp(created, UTC)
        token = _left.set(_Left())
        try:
            return self._template.render(
                messages=[dict(message) for message in messages],
                add_generation_prompt=True,
                raise_exception=_raise,
                strftime_now=lambda form: _short(now.strftime(form)),
                **self._special,
            )
        except TouchstoneError as error:
            raise TemplateRefusal(f"{self._where}: {error}") from None
        # Whatever a template runs into (no such key, a wrong type) is said of the conversation.
        except Exception as error:
            raise TemplateRefusal(
                f"{self._where}: the chat template does not take this conversation ({str(error)[:200]})"
            ) from None
        finally:
            _left.reset(token)


def _raise(message: object) -> NoReturn:
    raise TemplateRefusal(f"the chat template refuses the conversation: {str(message)[:300]}")


def _short(text: Any) -> Any:
    """The same, if it is not too long to be gone on with."""
    if isinstance(text, str | list | tuple) and len(text) > MOST_TEXT:
        raise TemplateRefusal(f"the chat template makes a text of more than {MOST_TEXT} characters")
    return text


def _turns(items: Iterable[Any]) -> Iterator[Any]:
    """What a loop goes over, counted."""
    left = _left.get()
    for item in items:
        left.steps -= 1
        if left.steps < 0:
            raise TemplateRefusal(f"the loops of the chat template turn more than {MOST_STEPS} times")
        yield item


def _kept(value: Any) -> Any:
    """The same, if it is a list (of lists ...) of a size that can be walked through."""
    waiting, seen = [value], 0
    while waiting:
        one = waiting.pop()
        inner = [*one.keys(), *one.values()] if isinstance(one, dict) else one if isinstance(one, list | tuple) else ()
        seen += len(inner)
        if seen > MOST_STEPS:
            raise TemplateRefusal(f"the chat template makes a list of more than {MOST_STEPS} things")
        waiting += inner
    return value


def _text(value: Any) -> str:
    return str(_short(str(_kept(value))))


def _written(value: Any) -> str:
    """What goes out, or into a variable, as text: all of it together is bounded."""
    text, left = _text(value), _left.get()
    left.text -= len(text)
    if left.text < 0:
        raise TemplateRefusal(f"the chat template writes more than {MOST_TEXT} characters")
    return text


def _joined(parts: Sequence[Any]) -> str:
    texts = [_text(part) for part in parts]
    if sum(map(len, texts)) > MOST_TEXT:
        raise TemplateRefusal(f"the chat template makes a text of more than {MOST_TEXT} characters")
    return "".join(texts)


def _replace(text: Any, old: Any, new: Any, count: int = -1) -> str:
    text, old, new = str(text), str(old), str(new)
    if len(text) + (text.count(old) if old else len(text) + 1) * len(new) > MOST_TEXT:
        raise TemplateRefusal(f"the chat template makes a text of more than {MOST_TEXT} characters")
    return str(text.replace(old, new, count))


def _join(items: Iterable[Any], between: str = "", attribute: str | None = None) -> str:
    parts: list[Any] = []
    for item in _turns(items):
        parts += [between, item[attribute] if attribute else item]
    return _joined(parts[1:])


def _json(value: Any, indent: int | None = None, **_: Any) -> str:
    """As the makers of these templates write JSON: no escapes for other letters, nothing for HTML."""
    return str(_short(json.dumps(_kept(value), ensure_ascii=False, indent=None if indent is None else min(indent, 8))))


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        bounded: dict[str, Callable[..., Any]] = {
            "replace": _replace,
            "join": _join,
            "tojson": _json,
            "string": _text,
            "_turns": _turns,
            "_joined": _joined,
            "_kept": _kept,
            "_written": _written,
        }
        allowed = {name: work for name, work in self.filters.items() if name in FILTERS}
        self.filters = {**allowed, **bounded}
        self.globals = {"namespace": self.globals["namespace"], "range": _range}

    def counted(self, source: str) -> nodes.Template:
        """The template with its loops counted and its texts measured. Raises TemplateError."""
        _require_shallow(self.lex(source))
        tree = self.parse(source)
        for kind in (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends):
            if tree.find(kind) is not None:
                raise TemplateError("it loads other templates")
        if any(loop.recursive for loop in tree.find_all(nodes.For)):
            raise TemplateError("it has a recursive loop")
        _measured(tree)
        tree.set_environment(self)
        return tree

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        for kind, allowed in METHODS.items():
            if isinstance(obj, kind):
                return attr in allowed
        return bool(super().is_safe_attribute(obj, attr, value))

    def wrap_str_format(self, value: Any) -> None:
        """``format`` is not allowed: a width makes a long text from a short one."""

    def call(self, context: Any, obj: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(getattr(obj, "__self__", None), str) and obj.__name__ == "replace":
            return _replace(obj.__self__, *args)
        left = _left.get()
        left.depth -= 1
        if left.depth < 0:
            raise TemplateRefusal(f"the macros of the chat template call each other more than {MOST_DEPTH} deep")
        found = _short(super().call(context, obj, *args, **kwargs))
        left.depth += 1
        return found

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "**" or (operator in "*%" and not numbers):
            raise TemplateRefusal(f"the chat template uses {operator!r} on what is no number, or as a power")
        if numbers and max(abs(left), abs(right)) > 1 << 63:
            raise TemplateRefusal("the chat template counts too far")
        return _kept(_short(super().call_binop(context, operator, left, right)))


def _require_shallow(tokens: Iterable[tuple[int, str, str]]) -> None:
    """Raise TemplateError for a template that nests too deep, or has an expression that is too long, before anything recurses."""
    depth = brackets = length = 0
    tag = captures = False
    for _, kind, word in tokens:
        length = 0 if kind.endswith("_begin") else length + 1
        if tag and kind == "name":
            depth += -1 if word.startswith("end") else word in _OPENING
            tag, captures = False, word == "set"
        tag = tag or kind == "block_begin"
        # A set without a value captures what it encloses.
        captures = captures and (kind, word) != ("operator", "=")
        depth += captures and kind == "block_end"
        if kind == "operator":
            brackets += (word in "([{") - (word in ")]}")
        if depth > MOST_DEPTH or brackets > MOST_DEPTH or length > MOST_TOKENS:
            raise TemplateError("it nests too deep, or has an expression that is too long")


_OPENING = frozenset({"for", "if", "macro", "call", "filter", "block", "with", "autoescape", "raw"})
"""Tags that enclose others."""


def _range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > MOST_STEPS:
        raise TemplateRefusal(f"the chat template counts to more than {MOST_STEPS}")
    return found


def _measured(node: nodes.Node) -> None:
    """Put every loop, list, concatenation and output below this node under its bound."""
    for name, value in node.iter_fields():
        given = value if isinstance(value, list) else [value]
        for child in given:
            if isinstance(child, nodes.Node):
                _measured(child)
        changed = [_bounded(node, name, child) for child in given]
        setattr(node, name, changed if isinstance(value, list) else changed[0])


def _bounded(above: nodes.Node, name: str, child: Any) -> Any:
    if isinstance(above, nodes.For) and name == "iter":
        return _filtered(child, "_turns")
    if isinstance(above, nodes.Output):
        return _filtered(nodes.Const(child.data) if isinstance(child, nodes.TemplateData) else child, "_written")
    if isinstance(child, nodes.Concat):
        return _filtered(nodes.List(child.nodes), "_joined")
    if isinstance(child, nodes.List | nodes.Dict) or (isinstance(child, nodes.Tuple) and child.ctx == "load"):
        return _filtered(child, "_kept")
    return child


def _filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None)
