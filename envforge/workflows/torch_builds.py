"""``envforge add … --torch``: write the variants by which each kind of host gets its build of torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from envforge.errors import ManifestError
from envforge.manifest.edit_variants import NewVariant, add_variants
from envforge.manifest.lists import name_of
from envforge.manifest.manifest import Manifest, index_names
from envforge.manifest.parse import parse_manifest
from envforge.model.names import normalize_name
from envforge.model.requirement import Requirement, parse_requirement
from envforge.model.sources import IndexSource, Source
from envforge.plan.torch_variants import AUTO, TorchVariant, plan_torch_variants
from envforge.workflows.accelerator_data import read_accelerator_table

MIRROR = "ENVFORGE_ACCELERATOR_MIRROR"
_TORCH = "torch"


def write_torch_variants(
    manifest_text: str, choice: str, added: Iterable[Requirement], environ: Mapping[str, str]
) -> str:
    """The manifest with the variants; as it is where they stand in it already.

    Args:
        manifest_text: what pyproject.toml says.
        choice: ``auto``, or an index such as ``cu128``, ``rocm6.4``, ``cpu``.
        added: what is about to be added: torch's version among it decides which builds there are.
        environ: the process environment: :data:`MIRROR` is a base URL.

    Raises:
        UsageError: no such index, or it has nothing for the project's platforms.
        ManifestError: torch has a source already, or the project variants of its own.
    """
    manifest = parse_manifest(manifest_text)
    table = read_accelerator_table()
    settings = manifest.settings
    planned = plan_torch_variants(choice, _specifier(manifest, added), settings.platforms, table)
    if not planned or _is_written(manifest, planned, others_may_be=choice == AUTO):
        return manifest_text
    _refuse_other_source(manifest, planned)
    base = (environ.get(MIRROR, "") or settings.accelerator_mirror or table.base_url).rstrip("/")
    needed = dict.fromkeys(variant.index.name for variant in planned if variant.index is not None)
    return add_variants(
        manifest_text,
        [_new_variant(variant) for variant in planned],
        {_index_name(name): f"{base}/{name}" for name in needed},
        comment=f"torch for each kind of host, as `envforge add --torch {choice}` knew them on {table.date}",
    )


def _specifier(manifest: Manifest, added: Iterable[Requirement]) -> str:
    """What is asked of torch's version: by what is added, else by the project."""
    for requirement in added:
        if requirement.name == _TORCH:
            return requirement.specifier
    for declared in manifest.dependencies:
        if normalize_name(name_of(declared.text)) == _TORCH:
            return parse_requirement(declared.text).specifier
    return ""


def _new_variant(variant: TorchVariant) -> NewVariant:
    when: dict[str, str | Sequence[str]] = {
        key: value
        for key, value in (
            ("cuda", variant.cuda),
            ("cuda-arch", variant.cuda_arch),
            ("rocm", variant.rocm),
            ("platform", variant.platforms),
        )
        if value
    }
    return NewVariant(name=variant.name, when=when, sources=_sources(variant))


def _sources(variant: TorchVariant) -> dict[str, str]:
    if variant.index is None:
        return {}
    return dict.fromkeys(variant.packages, _index_name(variant.index.name))


def _index_name(index: str) -> str:
    """``pytorch-cu128``."""
    return f"pytorch-{index}"


def _is_written(manifest: Manifest, planned: Sequence[TorchVariant], *, others_may_be: bool) -> bool:
    """Whether the project has these variants, be it with more in them, or beside others."""
    here = {variant.name: variant for variant in manifest.settings.variants}
    return (others_may_be or len(here) == len(planned)) and all(
        variant.name in here and _sources(variant).items() <= index_names(here[variant.name].sources).items()
        for variant in planned
    )


def _told(source: Source) -> str:
    return f": index {source.index!r}" if isinstance(source, IndexSource) else ""


def _refuse_other_source(manifest: Manifest, planned: Sequence[TorchVariant]) -> None:
    packages = {name for variant in planned for name in variant.packages}
    taken = {name: source for name, source in manifest.settings.sources.items() if name in packages}
    if taken:
        name, source = next(iter(taken.items()))
        raise ManifestError(
            f"{name} has a source already{_told(source)}",
            context=[f"{manifest.path}: tool.envforge.sources.{name}"],
            hints=["remove it to have variants written, or leave --torch out"],
        )
