"""Adding variants and their indexes to pyproject.toml: new tables at the end, every other byte stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from envforge.errors import ManifestError
from envforge.manifest.parse import parse_manifest
from envforge.manifest.splice import newline_of, quote
from envforge.struct import Struct, field


class NewVariant(Struct, frozen=True, kw_only=True):
    """A variant to write.

    Args:
        name: a key that needs no quotes.
        when: condition → text, or texts; empty for none.
        sources: project → name of its index.
    """

    name: str
    when: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)


def add_variants(
    text: str,
    variants: Sequence[NewVariant],
    indexes: Mapping[str, str],
    *,
    comment: str,
    path: str = "pyproject.toml",
) -> str:
    """The manifest with variants at its end, and the explicit indexes that they need before them.

    An index that is there already under its name, with the same URL, is not written again.

    Args:
        text: the manifest.
        variants: in the order in which a host tries them.
        indexes: name → URL.
        comment: a line to put before them, without ``#``.
        path: the file's name for messages.

    Raises:
        ManifestError: it has variants of its own, an index of this name elsewhere, or a form that cannot be
            extended at its end.
    """
    settings = parse_manifest(text, path).settings
    if settings.variants:
        raise ManifestError(
            "the project has variants already",
            context=[f"{path}: {', '.join(variant.name for variant in settings.variants)}"],
            hints=["give them `sources` for torch, or remove them first: docs/gpu.md shows what is written"],
        )
    here = {index.name: index for index in settings.indexes}
    for name, url in indexes.items():
        if name in here and here[name].public_url.rstrip("/") != url.rstrip("/"):
            raise ManifestError(
                f"the project has another index named {name!r}",
                context=[f"{path}: {here[name].public_url}, not {url}"],
                hints=["rename it"],
            )
    new = {name: url for name, url in indexes.items() if name not in here}
    blocks = [f"# {comment}\n{_index_table(name, url)}" for name, url in list(new.items())[:1]]
    blocks += [_index_table(name, url) for name, url in list(new.items())[1:]]
    blocks += [_variant_table(variant) for variant in variants]
    added = "\n".join(blocks)
    newline = newline_of(text)
    edited = text.rstrip("\r\n") + newline * 2 + added.replace("\n", newline)
    _check(edited, variants, added, path)
    return edited


def _index_table(name: str, url: str) -> str:
    return f"[[tool.envforge.index]]\nname = {quote(name)}\nurl = {quote(url)}\nexplicit = true\n"


def _variant_table(variant: NewVariant) -> str:
    lines = [f"[tool.envforge.variants.{variant.name}]"]
    if variant.when:
        conditions = [f"{key} = {_value(value)}" for key, value in variant.when.items()]
        lines.append(f"when = {{ {', '.join(conditions)} }}")
    if variant.sources:
        sources = [f"{project} = {{ index = {quote(index)} }}" for project, index in variant.sources.items()]
        lines.append(f"sources = {{ {', '.join(sources)} }}")
    return "\n".join(lines) + "\n"


def _value(value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return quote(value)
    return f"[{', '.join(quote(item) for item in value)}]" if len(value) > 1 else quote(value[0])


def _check(edited: str, variants: Sequence[NewVariant], added: str, path: str) -> None:
    """Read what was written: tables that were written inline cannot be extended at the end of the file."""
    try:
        names = [variant.name for variant in parse_manifest(edited, path).settings.variants]
    except ManifestError as error:
        raise ManifestError(
            f"the variants cannot be written at the end of {path}",
            context=[error.message, *error.context],
            hints=["write them by hand:\n" + added],
        ) from None
    assert names == [variant.name for variant in variants]
