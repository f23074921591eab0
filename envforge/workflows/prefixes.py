"""The conda part of an environment: whether this host may have it, its prefix, and the Python in it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.environment.spec import GenerationPrefix, PrefixPackage
from envforge.errors import GenerationError
from envforge.host.facts import glibc_version
from envforge.link.conda_prefix import Prefix, PrefixSpec, ensure_prefix, find_prefix, uncached_records
from envforge.model.conda import CondaRecord
from envforge.model.host import Interpreter
from envforge.store.sharing import own_folder
from envforge.struct import Struct, replace
from envforge.workflows.channels import channel_locations

if TYPE_CHECKING:
    from envforge.link.cancellation import Cancellation
    from envforge.manifest.manifest import Manifest
    from envforge.net.conda_client import ChannelLocation
    from envforge.workflows.session import Session


class CondaStock(Struct, frozen=True, kw_only=True):
    """What of conda an environment has.

    Args:
        spec: what determines the prefix.
        prefix: None while it is not there.
        channels: where its packages come from.
    """

    spec: PrefixSpec
    prefix: Prefix | None
    channels: tuple[ChannelLocation, ...] = ()

    @property
    def python_version(self) -> str:
        """Of the Python in it, known before it is there."""
        return next((record.version for record in self.spec.records if record.name == "python"), "")

    @property
    def interpreter(self) -> Interpreter:
        """The Python to build on.

        Raises:
            GenerationError: there is none in the prefix, or no prefix.
        """
        if self.prefix is None or not self.prefix.python:
            raise no_python()
        return Interpreter(
            executable=self.prefix.python,
            version=self.prefix.python_version,
            platform=self.spec.platform,
            base_prefix=str(self.prefix.path),
            glibc=glibc_version(),
        )

    @property
    def recorded(self) -> GenerationPrefix | None:
        """What a generation remembers of it."""
        if self.prefix is None:
            return None
        packages = sorted(
            (PrefixPackage(record.name, record.version, record.build) for record in self.spec.records),
            key=lambda package: package.name,
        )
        return GenerationPrefix(str(self.prefix.path), tuple(packages))


def no_python() -> GenerationError:
    return GenerationError(
        "the lock has conda packages, but no Python among them",
        context=["an environment stands on the Python of its conda packages"],
        hints=["run: envforge lock --upgrade"],
    )


def find_stock(
    records: tuple[CondaRecord, ...], platform: str, manifest: Manifest, session: Session
) -> CondaStock | None:
    """The conda part of a lock for this host, None if there is none; costs a look at the prefix's marker.

    Raises:
        GenerationError: no Python is among the records.
    """
    if not records:
        return None
    if not any(record.name == "python" for record in records):
        raise no_python()
    spec = PrefixSpec(records=records, platform=platform, link_scripts=manifest.settings.link_scripts)
    return CondaStock(
        spec=spec,
        prefix=find_prefix(spec, prefixes_folder(session.places.tier)),
        channels=tuple(channel_locations(manifest, session)),
    )


def make_stock(stock: CondaStock, session: Session, cancellation: Cancellation | None = None) -> CondaStock:
    """The same with its prefix made, or found.

    Args:
        stock: of an environment.
        session: the surroundings.
        cancellation: ends it.

    Raises:
        CancelledError: it was ended.
        EnvforgeError: the prefix is complete or absent.
    """
    prefix = ensure_prefix(
        stock.spec,
        prefixes_folder(session.places.tier),
        packages_cache=conda_packages_folder(session),
        channels=stock.channels,
        network=session.network,
        environ=session.environ,
        reporter=session.reporter,
        cancellation=cancellation,
    )
    return replace(stock, prefix=prefix)


def missing_records(stock: CondaStock | None, session: Session) -> list[CondaRecord]:
    """Packages that have to be downloaded before the prefix can be made; none if it is there."""
    if stock is None or stock.prefix is not None:
        return []
    return uncached_records(stock.spec.records, conda_packages_folder(session))


def discard_stock(prefix: GenerationPrefix, damaged: Collection[str], session: Session) -> None:
    """Take a damaged prefix away; the next sync makes it anew.

    Args:
        prefix: what a generation remembers of it.
        damaged: names of the packages with damaged files.
        session: the surroundings.

    Raises:
        StoreError: it cannot be removed.
    """
    from envforge.link.conda_repair import discard_prefix

    stems = [package.stem for package in prefix.packages if package.name in damaged]
    discard_prefix(Path(prefix.path), stems, conda_packages_folder(session), session.reporter)


def prefixes_folder(tier: Path) -> Path:
    """Where the prefixes of a tier stand, beside the generations that use them."""
    return tier / "prefixes"


def conda_packages_folder(session: Session) -> Path:
    """Where conda's archives are kept, beside those of PyPI; py-rattler looks after them."""
    return own_folder(session.places.archives / "conda")
