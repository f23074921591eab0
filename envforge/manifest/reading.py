"""Reading values out of parsed TOML, with faults collected instead of raised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envforge.manifest.dotted import child, item
from envforge.manifest.faults import Fault
from envforge.manifest.manifest import Declared
from envforge.model.names import is_valid_name, normalize_name

Table = dict[str, Any]

_KINDS = {
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a table",
}


def kind(value: object) -> str:
    """What a TOML value is, in a word for the user."""
    return _KINDS.get(type(value), "a date or time")


class Reader:
    """Typed access to tables; whatever is not as it must be becomes a fault and reads as empty."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def refuse(self, where: str, problem: str, right: str = "") -> None:
        self.faults.append(Fault(where, problem, right))

    def table(self, parent: Table, key: str, where: str) -> Table:
        """The table ``parent[key]``, empty if missing; ``where`` is the path of the parent."""
        value = parent.get(key, {})
        if isinstance(value, dict):
            return value
        self.refuse(child(where, key), f"is {kind(value)}, not a table", f"write [{child(where, key)}]")
        return {}

    def text(self, parent: Table, key: str, where: str, example: str) -> str:
        """The text ``parent[key]``, ``""`` if missing."""
        value = parent.get(key, "")
        if isinstance(value, str):
            if key in parent and not value.strip():
                self.refuse(child(where, key), "is empty", f'write e.g. {key} = "{example}"')
            return value.strip()
        self.refuse(child(where, key), f"is {kind(value)}, not a text", f'write e.g. {key} = "{example}"')
        return ""

    def flag(self, parent: Table, key: str, where: str) -> bool:
        """The boolean ``parent[key]``, False if missing."""
        value = parent.get(key, False)
        if isinstance(value, bool):
            return value
        self.refuse(child(where, key), f"is {kind(value)}, not true or false", f"write {key} = true")
        return False

    def entries(self, parent: Table, key: str, where: str, example: str) -> list[Any]:
        """The list ``parent[key]``, empty if missing."""
        value = parent.get(key, [])
        if isinstance(value, list):
            return value
        self.refuse(child(where, key), f"is {kind(value)}, not a list", f"write e.g. {key} = {example}")
        return []

    def texts(self, parent: Table, key: str, where: str, example: str) -> Iterator[tuple[str, str]]:
        """(text, dotted path) of each entry of the list ``parent[key]``."""
        for index, value in enumerate(self.entries(parent, key, where, example)):
            place = item(child(where, key), index)
            if isinstance(value, str) and value.strip():
                yield value.strip(), place
            else:
                problem = "is empty" if isinstance(value, str) else f"is {kind(value)}, not a text"
                self.refuse(place, problem, f"write e.g. {key} = {example}")

    def requirements(self, parent: Table, key: str, where: str) -> tuple[Declared, ...]:
        """The requirements in the list ``parent[key]``, unread."""
        return tuple(
            Declared(text, place) for text, place in self.texts(parent, key, where, '["torch>=2.4"]')
        )

    def names(self, table: Table, where: str, what: str) -> Iterator[tuple[str, str]]:
        """(key, normalized) of a table whose keys are names; invalid ones and second spellings are faults."""
        spelled: dict[str, str] = {}
        for key in table:
            name = normalize_name(key)
            if not is_valid_name(key):
                right = "use letters, digits, '-', '_' and '.', with a letter or digit first and last"
                self.refuse(child(where, key), f"{key!r} is no name for {what}", right)
            elif name in spelled:
                problem = f"is the same {what.split()[-1]} as {spelled[name]!r}: both are spelled {name!r}"
                self.refuse(child(where, key), problem, "put both into one")
            else:
                spelled[name] = key
                yield key, name
