"""Statements that a program runs all the time, compiled once and handed to SQLite's own driver.

SQLAlchemy finds the SQL of a statement in a cache and wraps cursor, rows and errors anew at each execution. For a row
found by its key that costs five times what SQLite itself does, and a transfer is some two hundred such statements. A
module marks its constants with `prepared`; `Connection.execute` then takes the short way, with the same SQL, the same
types and the same errors. Everything else goes through SQLAlchemy as it always did.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, InvalidRequestError, MultipleResultsFound, NoResultFound
from sqlalchemy.sql.compiler import SQLCompiler

__all__ = ["Connection", "is_prepared", "prepared"]

S = TypeVar("S", bound=sqlalchemy.Executable)
_Process = Callable[[Any], Any]

_MARK = "cordee_prepared"
_DIALECT = sqlite.dialect()


def prepared(statement: S) -> S:
    """Mark a constant statement. An INSERT or UPDATE without values takes the columns of its parameters."""
    return statement.execution_options(**{_MARK: True})


class Connection(sqlalchemy.Connection):
    """SQLAlchemy's, with a short way for statements marked by `prepared`. Begin a transaction first."""

    def execute(self, statement: Any, parameters: Any = None, *, execution_options: Any = None) -> Any:
        """As SQLAlchemy's. Of a prepared statement all rows are fetched at once. Raises: DBAPIError."""
        if parameters is None:
            parameters = {}
        try:
            form = _FORMS.get((statement, tuple(parameters)))
        except TypeError:  # several rows at once
            form = None
        if form is None:
            if type(parameters) is not dict or not is_prepared(statement):
                return super().execute(statement, parameters or None, execution_options=execution_options)
            form = _FORMS[statement, tuple(parameters)] = _compile(statement, tuple(parameters))
        driver: Any = self.connection.dbapi_connection
        try:
            cursor = driver.execute(form.sql, [take(parameters) for take in form.binds])
            return Rows(form, cursor.fetchall() if form.returns else [], cursor.rowcount)
        except sqlite3.Error as error:
            raise DBAPIError.instance(form.sql, None, error, sqlite3.Error, hide_parameters=True) from error


@dataclass(frozen=True)
class _Form:
    """A statement as the driver takes it, for one set of parameters."""

    sql: str
    binds: tuple[Callable[[Mapping[str, Any]], Any], ...]
    returns: bool
    row: Callable[[Sequence[Any]], Any]


_FORMS: dict[tuple[Any, tuple[str, ...]], _Form] = {}


class Rows:
    """The part of SQLAlchemy's Result that this program uses; the rows are named tuples."""

    def __init__(self, form: _Form, rows: list[Sequence[Any]], rowcount: int) -> None:
        self._rows = [form.row(row) for row in rows]
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> list[Any]:
        """Every row."""
        return self._rows

    def first(self) -> Any:
        """The first row, or None."""
        return self._rows[0] if self._rows else None

    def one_or_none(self) -> Any:
        """The only row, or None. Raises: MultipleResultsFound."""
        if len(self._rows) > 1:
            raise MultipleResultsFound("several rows where one was expected")
        return self.first()

    def one(self) -> Any:
        """The only row. Raises: NoResultFound, MultipleResultsFound."""
        row = self.one_or_none()
        if row is None:
            raise NoResultFound("no row where one was expected")
        return row

    def scalar(self) -> Any:
        """The first column of the first row, or None."""
        return self._rows[0][0] if self._rows else None

    def scalar_one(self) -> Any:
        """The first column of the only row. Raises: NoResultFound, MultipleResultsFound."""
        return self.one()[0]

    def scalars(self) -> Rows:
        """The first column of each row."""
        found = Rows.__new__(Rows)
        found._rows, found.rowcount = [row[0] for row in self._rows], self.rowcount
        return found


def is_prepared(statement: object) -> bool:
    """Whether `prepared` made it."""
    return isinstance(statement, sqlalchemy.Executable) and bool(statement.get_execution_options().get(_MARK))


def _compile(statement: Any, given: tuple[str, ...]) -> _Form:
    compiled = statement.compile(dialect=_DIALECT, column_keys=list(given))
    if not isinstance(compiled, SQLCompiler) or compiled.positiontup is None:
        raise InvalidRequestError("only SQL with positional parameters can be prepared")
    if compiled.insert_prefetch or compiled.update_prefetch or any(each.expanding for each in compiled.binds.values()):
        raise InvalidRequestError("what SQLAlchemy fills in at each execution cannot be prepared")
    binds = tuple(_bind(compiled.binds[name]) for name in compiled.positiontup)
    columns = tuple(getattr(statement, "exported_columns", ()))
    return _Form(str(compiled), binds, bool(columns), _row_of(columns))


def _bind(parameter: sqlalchemy.BindParameter[Any]) -> Callable[[Mapping[str, Any]], Any]:
    """How to take a parameter's value from those given: processed as its type asks; a literal's once and for all."""
    process = parameter.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
    key = parameter.key
    if not parameter.required:
        literal = parameter.effective_value
        literal = process(literal) if process is not None else literal
        return lambda given: literal
    if process is None:
        return lambda given: given[key]
    convert: _Process = process
    return lambda given: convert(given[key])


def _row_of(columns: Sequence[Any]) -> Callable[[Sequence[Any]], Any]:
    names = [each.key or f"column_{number}" for number, each in enumerate(columns)]  # a function's result has none
    make = namedtuple("Row", names)._make  # type: ignore[attr-defined]  # the names are a table's
    processes = [each.type.dialect_impl(_DIALECT).result_processor(_DIALECT, None) for each in columns]
    converted = [(index, process) for index, process in enumerate(processes) if process is not None]
    if not converted:
        return make  # type: ignore[no-any-return]  # the maker of a class that is made here has no type

    def row(values: Sequence[Any]) -> Any:
        changed = list(values)
        for index, process in converted:
            changed[index] = process(changed[index])
        return make(changed)

    return row
