"""Conda packages that are all unpacked, linked into a prefix by py-rattler in this process.

The process that :mod:`envforge.link.conda_install` starts is there because py-rattler's tasks outlive a
failure, and takes 0.1 s to start. Here nothing has to be fetched, so that little can fail; what does is begun
again over there, when the tasks have come to their end.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from envforge.link.cancellation import Cancellation, CancelledError
from envforge.link.conda_worker import refusing_client
from envforge.metadata.rattler_records import to_rattler
from envforge.model.conda import CondaRecord


class UnfinishedError(Exception):
    """It failed, for whatever reason; tasks may be at work in the prefix for a moment."""


def link_unpacked(
    records: Sequence[CondaRecord], prefix: Path, packages_cache: Path, cancellation: Cancellation
) -> None:
    """Link packages into a prefix. No script of a package is run.

    Args:
        records: of the packages, all of them in the cache. Whether each of their files is there is not looked
            at: who links them finds out.
        prefix: absolute path.
        packages_cache: absolute path.
        cancellation: ends it.

    Raises:
        CancelledError: it was ended; tasks may be at work for a moment, too.
        UnfinishedError: it failed.
    """
    import asyncio

    with suppress(RuntimeError):  # there is none, as nearly always
        asyncio.get_running_loop()
        raise UnfinishedError

    import rattler
    from rattler.package_cache import PackageCache, ValidationMode

    async def install() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def end() -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(task.cancel)

        with cancellation.waking(end):
            await rattler.install(
                [to_rattler(record) for record in records],
                prefix,
                installed_packages=[],
                package_cache=PackageCache.new_layered(
                    [packages_cache], validation_mode=ValidationMode.skip()
                ),
                execute_link_scripts=False,
                show_progress=False,
                client=refusing_client(),
            )

    try:
        asyncio.run(install())
    except (CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a panic of py-rattler is no Exception
        cancellation.check()
        raise UnfinishedError from error
