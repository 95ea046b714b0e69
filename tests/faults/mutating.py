"""Small changes to a module's text, each of them a mutant: what a test should notice, if the line matters.

The operators are mutmut's, and some of our own for what it leaves alone: a guard or a step left out, a condition that
always holds or never, half of a condition. What nobody could be harmed by is not changed: the words of messages and of
errors, lines of the log, annotations, names of crash points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation import mutators

__all__ = ["Mutant", "mutants_of"]


@dataclass(frozen=True)
class Mutant:
    """One change. `decisive`: to what is decided; the others change what is passed on and assigned."""

    line: int
    operator: str
    decisive: bool
    old: str
    new: str
    _module: cst.Module
    _places: tuple[cst.CSTNode, cst.CSTNode]

    @property
    def told(self) -> str:
        """The change, short, on one line: the same whatever stands above it."""
        return f"{_short(self.old)} → {_short(self.new)}"

    def text(self) -> str | None:
        """The whole module with this change; None where that is no Python, or no change."""
        changed = self._module.deep_replace(*self._places)
        assert isinstance(changed, cst.Module)
        try:
            compile(changed.code, "mutant", "exec")
        except SyntaxError:
            return None
        return None if changed.code == self._module.code else changed.code


def mutants_of(text: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its text."""
    wrapper = MetadataWrapper(cst.parse_module(text))
    visitor = _Visitor(wrapper.module)
    wrapper.visit(visitor)
    return sorted(visitor.found, key=lambda each: each.line)


def _short(code: str) -> str:
    line = " ".join(code.split())
    return line if len(line) <= 90 else line[:87] + "…"


# ---- our own operators ----

_FALSE, _TRUE = cst.Name("False"), cst.Name("True")
_SWAPPED = {"any": "all", "all": "any", "min": "max", "max": "min"}
_ENDS = m.SimpleStatementLine(body=[m.ZeroOrMore(), m.Raise() | m.Return() | m.Continue() | m.Break()])


def _left_out(node: cst.SimpleStatementLine) -> Iterable[cst.CSTNode]:
    """A step: a call whose value nobody uses."""
    if m.matches(node, m.SimpleStatementLine(body=[m.Expr(m.Call() | m.Await(m.Call()) | m.Yield())])):
        yield node.with_changes(body=[cst.Pass()])


def _never_or_always(node: cst.If) -> Iterable[cst.CSTNode]:
    yield node.with_changes(test=_FALSE)
    guard = isinstance(node.body, cst.IndentedBlock) and m.matches(node.body.body[-1], _ENDS) and node.orelse is None
    if not guard:
        yield node.with_changes(test=_TRUE)


def _half(node: cst.BooleanOperation) -> Iterable[cst.CSTNode]:
    # In brackets: what stands beside it must not be drawn in.
    for each in (node.left, node.right):
        yield each.with_changes(lpar=[cst.LeftParen(), *each.lpar], rpar=[*each.rpar, cst.RightParen()])


def _unfiltered(node: cst.CompIf) -> Iterable[cst.CSTNode]:
    yield node.with_changes(test=_TRUE)


def _other_function(node: cst.Call) -> Iterable[cst.CSTNode]:
    if isinstance(node.func, cst.Name) and node.func.value in _SWAPPED:
        yield node.with_changes(func=cst.Name(_SWAPPED[node.func.value]))


def _first_only(operator: Callable[[cst.BaseString], Iterable[cst.CSTNode]]) -> Callable[..., Iterable[cst.CSTNode]]:
    def first(node: cst.BaseString) -> Iterable[cst.CSTNode]:
        return list(operator(node))[:1]

    return first


_OPERATORS: tuple[tuple[type[cst.CSTNode], str, Callable[..., Iterable[cst.CSTNode]], bool], ...] = (
    (cst.SimpleStatementLine, "step left out", _left_out, True),
    (cst.If, "never or always", _never_or_always, True),
    (cst.BooleanOperation, "half of it", _half, True),
    (cst.CompIf, "unfiltered", _unfiltered, True),
    (cst.Call, "other function", _other_function, True),
    (cst.BaseNumber, "number", mutators.operator_number, True),
    (cst.Name, "name", mutators.operator_name, True),
    (cst.UnaryOperation, "without it", mutators.operator_remove_unary_ops, True),
    (cst.CSTNode, "keyword", mutators.operator_keywords, True),
    (cst.CSTNode, "operator", mutators.operator_swap_op, True),
    (cst.IfExp, "one branch", mutators.operator_if_exp, True),
    (cst.AugAssign, "assignment", mutators.operator_augmented_assignment, True),
    (cst.Assign, "nothing assigned", mutators.operator_assignment, False),
    (cst.Call, "argument", mutators.operator_arg_removal, False),
    (cst.Call, "string method", mutators.operator_symmetric_string_methods_swap, True),
    (cst.Lambda, "lambda", mutators.operator_lambda, False),
    (cst.BaseString, "string", _first_only(mutators.operator_string), False),
)

_WORDS = m.Call(
    func=m.Name("N_") | m.Name("_") | m.Name("register") | m.Name("logger") | m.Name("cast") | m.Name("TypeVar")
)
_TELLING = m.SimpleStatementLine(
    body=[m.Expr(m.Call(func=m.Attribute(value=m.Name("log")) | m.Attribute(attr=m.Name("reach"))))]
)
_LISTS = m.Assign(targets=[m.AssignTarget(m.Name("__all__") | m.Name("log"))])
_SLOTS = m.Decorator()


class _Visitor(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, module: cst.Module) -> None:
        super().__init__()
        self.found: list[Mutant] = []
        self._module = module
        self._in_raise = 0

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.ImportFrom | cst.Import) or m.matches(
            node, _WORDS | _TELLING | _LISTS | _SLOTS
        ):
            return False
        if isinstance(node, cst.If) and m.matches(node.test, m.Name("TYPE_CHECKING")):
            return False
        if isinstance(node, cst.Raise):
            self._in_raise += 1
        if not self._in_raise:
            for kind, operator, change, decisive in _OPERATORS:
                if isinstance(node, kind):
                    self._add(node, operator, decisive, change(node))
        return not isinstance(node, cst.Expr) or not isinstance(node.value, cst.SimpleString)

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.Raise):
            self._in_raise -= 1

    def _add(self, node: cst.CSTNode, operator: str, decisive: bool, changed: Iterable[cst.CSTNode]) -> None:
        line = self.get_metadata(PositionProvider, node).start.line
        for each in changed:
            shown = (self._module.code_for_node(node).strip(), self._module.code_for_node(each).strip())
            self.found.append(Mutant(line, operator, decisive, *shown, self._module, (node, each)))
