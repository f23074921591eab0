"""Which PyPI projects a conda package is, and which conda packages may be a PyPI project.

In this order: what the manifest says; the purls of the record; for Python packages only, the table of
exceptions, else the same name. No service is asked.

Standards: PEP 503 (normalized names), the purl specification (``pkg:pypi/name@version``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import unquote

from envforge.metadata.conda_name_exceptions import NOT_ON_PYPI, PYPI_NAMES, PYPI_NAMES_BY_DEPENDENCY
from envforge.model.names import is_valid_name, normalize_name

_PURL = re.compile(r"pkg:pypi/([^@?#]+)", re.IGNORECASE)
_NAME_OF_SPEC = re.compile(r"[A-Za-z0-9_.-]+")
_PYTHONS = frozenset({"python", "python_abi", "python-gil", "python-freethreading", "pypy"})


def pypi_names_of(
    name: str,
    noarch: str,
    depends: Sequence[str],
    purls: Sequence[str] = (),
    overrides: Mapping[str, str] = {},
) -> tuple[str, ...]:
    """The PyPI projects that a record is, normalized and sorted; mostly none or one.

    Args:
        name: conda's.
        noarch: ``""``, ``"python"`` or ``"generic"``.
        depends: match specs.
        purls: package URLs of the record.
        overrides: conda name → PyPI name of the manifest, ``""`` for none.
    """
    if name in overrides:
        return (normalize_name(overrides[name]),) if overrides[name] else ()
    of_purls = {normalize_name(unquote(found[1])) for purl in purls if (found := _PURL.match(purl))}
    if of_purls:
        return tuple(sorted(of_purls))
    if not is_python_package(noarch, depends) or name in NOT_ON_PYPI:
        return ()
    for dependency in map(_name_of, depends if name in _DEPENDENT_NAMES else ()):
        if (name, dependency) in PYPI_NAMES_BY_DEPENDENCY:
            return PYPI_NAMES_BY_DEPENDENCY[name, dependency]
    return PYPI_NAMES.get(name) or _same_name(name)


def is_python_package(noarch: str, depends: Sequence[str]) -> bool:
    """Whether a record has something for Python to import, as far as its metadata tells."""
    return noarch == "python" or any(_name_of(spec) in _PYTHONS for spec in depends)


def other_conda_names(pypi_name: str, overrides: Mapping[str, str] = {}) -> tuple[str, ...]:
    """The conda names, other than the same one, that might stand for a PyPI project, sorted.

    Whether they do, their records tell.

    Args:
        pypi_name: normalized.
        overrides: conda name → PyPI name of the manifest.
    """
    names = {name for name, pypi in overrides.items() if pypi and normalize_name(pypi) == pypi_name}
    return tuple(sorted(names.union(_OTHER_NAMES.get(pypi_name, ()))))


def _same_name(name: str) -> tuple[str, ...]:
    return (normalize_name(name),) if is_valid_name(name) else ()


@lru_cache(8192)
def _name_of(spec: str) -> str:
    found = _NAME_OF_SPEC.match(spec)
    return found[0] if found else ""


def _reversed(tables: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {}
    for conda_name, pypi_names in tables:
        for pypi_name in pypi_names:
            names[pypi_name] = (*names.get(pypi_name, ()), conda_name)
    return names


_DEPENDENT_NAMES = frozenset(name for name, _ in PYPI_NAMES_BY_DEPENDENCY)
_OTHER_NAMES = _reversed(
    [*PYPI_NAMES.items(), *((name, pypi) for (name, _), pypi in PYPI_NAMES_BY_DEPENDENCY.items())]
)
