"""What determines a generation, its name, and the marker file that says it is complete.

The marker is ``envforge-generation.json``: written last, and readable for people (``python -m json.tool``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from envforge.hashing import base32, sha256
from envforge.model.host import Interpreter
from envforge.model.layout import EnvironmentLayout, environment_layout
from envforge.model.tree import Tree
from envforge.plan.link_plan import LinkMode
from envforge.struct import Struct

FORMAT = 2
"""Raised when a generation of the same spec is made otherwise than before: names change with it."""

DIGEST_LETTERS = 20

PREFIX_MARKER = "envforge-prefix.json"
"""That of :mod:`envforge.link.conda_prefix`, which takes longer to import than all that looks for it here."""


class GenerationTree(Struct, frozen=True):
    """A distribution of a generation, and how its files got there."""

    name: str
    version: str
    id: str
    mode: LinkMode


class PrefixPackage(Struct, frozen=True):
    """A conda package of the prefix that a generation stands on."""

    name: str
    version: str
    build: str

    @property
    def stem(self) -> str:
        """What conda calls its files: ``numpy-2.1.0-py312h1234567_0``."""
        return f"{self.name}-{self.version}-{self.build}"


class GenerationPrefix(Struct, frozen=True):
    """The conda prefix that a generation stands on; several generations may share it.

    Args:
        path: absolute; conda packages hold it, so it never moves.
        packages: sorted by name.
    """

    path: str
    packages: tuple[PrefixPackage, ...]


class GenerationSpec(Struct, frozen=True, kw_only=True):
    """Everything that determines a generation.

    Args:
        target: id of the lock's target.
        groups: what of the lock is installed, sorted.
        interpreter: the Python it stands on.
        link_mode: how files get in.
        trees: sorted by name.
        venv: absolute path of the project's ``.venv`` as the user sees it: what activation sets.
        prompt: what the shell's prompt shows.
        prefix: where conda's part stands, None for an environment without one; its Python is the
            interpreter then.
    """

    target: str
    groups: tuple[str, ...]
    interpreter: Interpreter
    link_mode: LinkMode
    trees: tuple[GenerationTree, ...]
    venv: str
    prompt: str
    prefix: GenerationPrefix | None = None

    @property
    def layout(self) -> EnvironmentLayout:
        return environment_layout(self.interpreter.platform, self.interpreter.minor)

    @property
    def digest(self) -> str:
        """The generation's name: 20 letters, the same for the same spec on every machine."""
        text = json.dumps({"format": FORMAT, **spec_fields(self)}, sort_keys=True, separators=(",", ":"))
        return base32(sha256(text.encode("utf-8", "surrogateescape")).digest(), DIGEST_LETTERS)


def generation_trees(
    trees: Iterable[Tree], mode: LinkMode, unshared: Iterable[str] = ()
) -> tuple[GenerationTree, ...]:
    """The trees of a spec, as :func:`envforge.plan.link_plan.plan_links` is going to link them."""
    copied = frozenset(unshared)
    return tuple(
        GenerationTree(tree.name, tree.version, tree.id, LinkMode.COPY if tree.name in copied else mode)
        for tree in sorted(trees, key=lambda tree: tree.name)
    )


def spec_fields(spec: GenerationSpec) -> dict[str, Any]:
    """A spec as JSON has it; conda's part is named where there is one."""
    python = spec.interpreter
    conda = {} if spec.prefix is None else {"conda": _prefix_fields(spec.prefix)}
    return {
        "target": spec.target,
        "groups": list(spec.groups),
        "python": {
            "executable": python.executable,
            "version": python.version,
            "platform": python.platform,
            "implementation": python.implementation,
            "base_prefix": python.base_prefix,
        },
        "link_mode": spec.link_mode.value,
        "venv": spec.venv,
        "prompt": spec.prompt,
        "packages": {
            tree.name: {"version": tree.version, "tree": tree.id, "mode": tree.mode.value}
            for tree in spec.trees
        },
        **conda,
    }


def _prefix_fields(prefix: GenerationPrefix) -> dict[str, Any]:
    packages = {
        package.name: {"version": package.version, "build": package.build} for package in prefix.packages
    }
    return {"prefix": prefix.path, "packages": packages}


def parse_spec(fields: Mapping[str, Any]) -> GenerationSpec:
    """Read what :func:`spec_fields` gave.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    return GenerationSpec(
        target=fields["target"],
        groups=tuple(fields["groups"]),
        interpreter=Interpreter(**fields["python"]),
        link_mode=LinkMode(fields["link_mode"]),
        trees=tuple(
            GenerationTree(name, tree["version"], tree["tree"], LinkMode(tree["mode"]))
            for name, tree in fields["packages"].items()
        ),
        venv=fields["venv"],
        prompt=fields["prompt"],
        prefix=_parse_prefix(fields["conda"]) if "conda" in fields else None,
    )


def _parse_prefix(fields: Mapping[str, Any]) -> GenerationPrefix:
    packages = (
        PrefixPackage(name, package["version"], package["build"])
        for name, package in fields["packages"].items()
    )
    return GenerationPrefix(fields["prefix"], tuple(packages))
