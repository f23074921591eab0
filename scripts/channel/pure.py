"""Packages without compiled code: Python packages, activation and link scripts, special metadata."""

from __future__ import annotations

from collections.abc import Iterator

from .host_python import HostPython
from .package import DAY_MS, TIMESTAMP_MS, File, Package


def distribution(name: str, version: str, code: str, *, folder: str, scripts: str = "") -> dict[str, File]:
    """A Python distribution in a site-packages: a package, and a ``.dist-info`` as conda-build leaves it.

    Args:
        folder: the site-packages, relative to the prefix.
        scripts: console scripts, for ``entry_points.txt``.
    """
    module = name.replace("-", "_")
    info = f"{folder}/{module}-{version}.dist-info"
    files = {
        f"{folder}/{module}/__init__.py": File(code.encode()),
        f"{info}/METADATA": File(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()),
        f"{info}/INSTALLER": File(b"conda\n"),
        f"{info}/WHEEL": File(
            b"Wheel-Version: 1.0\nGenerator: envforge\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    if scripts:
        files[f"{info}/entry_points.txt"] = File(f"[console_scripts]\n{scripts}\n".encode())
    rows = [f"{path.removeprefix(folder + '/')},," for path in (*files, f"{info}/RECORD")]
    return {**files, f"{info}/RECORD": File(("\n".join(rows) + "\n").encode())}


def noarch_python_packages() -> Iterator[Package]:
    """``conda-hello``, a program in Python for every Python and platform."""
    for version, age_days in (("1.0", 20), ("1.1", 10)):
        code = (
            "import sys\nfrom importlib.metadata import version\n\n\n"
            "def main():\n    print('conda-hello', version('conda-hello'), 'in', sys.prefix)\n"
        )
        script = "conda-hello = conda_hello:main"
        yield Package(
            name="conda-hello",
            version=version,
            build="pyhd8ed1ab_0",
            noarch="python",
            depends=("python >=3.11",),
            purls=("pkg:pypi/conda-hello",),
            entry_points=(script,),
            files=distribution("conda-hello", version, code, folder="site-packages", scripts=script),
            timestamp_ms=TIMESTAMP_MS - age_days * DAY_MS,
        )


def activation_package(subdir: str) -> Package:
    """``greet-env``: what ``run`` and ``shell`` have to set, by script and by ``env_vars.d``."""
    return Package(
        name="greet-env",
        version="1.0",
        build="h0000000_0",
        subdir=subdir,
        files={
            "etc/conda/activate.d/greet-env.sh": File(b'export GREET_HOME="$CONDA_PREFIX/share/greet-env"\n'),
            "etc/conda/deactivate.d/greet-env.sh": File(b"unset GREET_HOME\n"),
            "etc/conda/activate.d/greet-env.fish": File(
                b'set -gx GREET_HOME "$CONDA_PREFIX/share/greet-env"\n'
            ),
            "etc/conda/deactivate.d/greet-env.fish": File(b"set -e GREET_HOME\n"),
            "etc/conda/env_vars.d/greet-env.json": File(b'{"GREET_STYLE": "loud"}\n'),
            "share/greet-env/style.txt": File(b"loud\n"),
        },
    )


def compiled_for(python: HostPython) -> tuple[str, ...]:
    """What a package that was built for one Python depends on."""
    major, minor = python.minor.split(".")
    upper = f"{major}.{int(minor) + 1}.0a0"
    return (f"python >={python.minor},<{upper}", f"python_abi {python.minor}.* *_{python.abi}")
