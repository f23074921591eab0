"""Reading values out of parsed JSON, with faults collected instead of raised."""

from __future__ import annotations

from typing import Any


class Reader:
    """Reads fields and notes what is wrong, as ``dotted.path: what it has to be``."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def without_repeats(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """An object of the JSON text; of a key that is there twice, the parser keeps the last only."""
        table = dict(pairs)
        if len(table) != len(pairs):
            keys = [key for key, _ in pairs]
            self.faults += [f"the key {key!r} is there twice" for key in table if keys.count(key) > 1]
        return table

    def text(self, table: dict[str, Any], key: str, where: str, *, needed: bool = True) -> str:
        value = table.get(key, None if needed else "")
        if isinstance(value, str):
            return value
        self.faults.append(f"{where}{key}: {'is missing' if value is None else 'has to be a text'}")
        return ""

    def texts(self, table: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
        value = table.get(key, [])
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        self.faults.append(f"{where}{key}: has to be a list of texts")
        return ()

    def table(self, table: dict[str, Any], key: str, where: str, *, needed: bool = True) -> dict[str, Any]:
        value = table.get(key, None if needed else {})
        if isinstance(value, dict):
            return value
        self.faults.append(f"{where}{key}: {'is missing' if value is None else 'has to be an object'}")
        return {}

    def tables(self, table: dict[str, Any], key: str, where: str, *, needed: bool) -> list[dict[str, Any]]:
        value = table.get(key, None if needed else [])
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return value
        self.faults.append(
            f"{where}{key}: {'is missing' if value is None else 'has to be a list of objects'}"
        )
        return []

    def number(self, table: dict[str, Any], key: str, where: str) -> int | None:
        """A whole number from 0, None if missing."""
        value = table.get(key)
        if value is None or (type(value) is int and value >= 0):
            return value
        self.faults.append(f"{where}{key}: has to be a whole number from 0")
        return None
