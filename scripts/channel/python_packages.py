"""Python packages of every kind that conda-forge has; each is a distribution that importlib.metadata sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .host_python import HostPython
from .native import compile_c
from .package import DAY_MS, TIMESTAMP_MS, File, Package

_HELLO = """\
import sys
from importlib.metadata import version

def main():
    print('conda-hello', version('conda-hello'), 'in', sys.prefix)
"""
_ABI3 = """\
import ctypes, pathlib
_native = ctypes.CDLL(str(pathlib.Path(__file__).with_name("libtinyabi.so")))
answer = _native.tinyabi_answer()
"""


def distribution(
    name: str, version: str, code: str, *, folder: str, requires: Sequence[str] = (), scripts: str = ""
) -> dict[str, File]:
    """A Python distribution in a site-packages: a package, and a ``.dist-info`` as conda-build leaves it.

    Args:
        folder: the site-packages, relative to the prefix; ``site-packages`` in a noarch package.
        requires: PEP 508, for its METADATA.
        scripts: console scripts, for ``entry_points.txt``.
    """
    module = name.replace("-", "_")
    info = f"{folder}/{module}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    files = {
        f"{folder}/{module}/__init__.py": File(code.encode()),
        f"{info}/METADATA": File(("\n".join(metadata) + "\n").encode()),
        f"{info}/INSTALLER": File(b"conda\n"),
        f"{info}/WHEEL": File(b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
    }
    if scripts:
        files[f"{info}/entry_points.txt"] = File(f"[console_scripts]\n{scripts}\n".encode())
    rows = [f"{path.removeprefix(folder + '/')},," for path in (*files, f"{info}/RECORD")]
    return {**files, f"{info}/RECORD": File(("\n".join(rows) + "\n").encode())}


def python_packages(pythons: Sequence[HostPython], subdir: str) -> Iterator[Package]:
    """All of them."""
    yield from _hello()
    yield from _tinyclick()
    yield _tinyplot()
    yield _tinyabi(subdir)
    for python in pythons:
        yield from _tinymath(python, subdir)
        yield from _tinytensor(python, subdir)


def _hello() -> Iterator[Package]:
    """``conda-hello``: a program in Python, for every Python and platform."""
    script = "conda-hello = conda_hello:main"
    for version, age_days in (("1.0", 20), ("1.1", 10)):
        yield Package(
            name="conda-hello",
            version=version,
            build="pyhd8ed1ab_0",
            noarch="python",
            depends=("python >=3.11",),
            purls=("pkg:pypi/conda-hello",),
            entry_points=(script,),
            files=distribution("conda-hello", version, _HELLO, folder="site-packages", scripts=script),
            timestamp_ms=TIMESTAMP_MS - age_days * DAY_MS,
        )


def _tinyclick() -> Iterator[Package]:
    """``tinyclick``: in noarch, but one build for Unix and one for Windows."""
    for system, more in (("unix", ()), ("win", ("tinycolor",))):
        code = f"SYSTEM = {system!r}\n"
        yield Package(
            name="tinyclick",
            version="8.0",
            build=f"{system}_pyhd8ed1ab_0",
            noarch="python",
            depends=(f"__{system}", "python >=3.11", *more),
            purls=("pkg:pypi/tinyclick",),
            files=distribution("tinyclick", "8.0", code, folder="site-packages"),
        )
    yield Package(
        name="tinycolor",
        version="0.4",
        build="pyhd8ed1ab_0",
        noarch="python",
        depends=("python >=3.11",),
        files=distribution("tinycolor", "0.4", "", folder="site-packages"),
    )


def _tinyplot() -> Package:
    """``tinyplot-base``: conda's name is not PyPI's, ``tinyplot``."""
    requires = ("tinymath>=1.5",)
    code = "from tinymath import add\n"
    return Package(
        name="tinyplot-base",
        version="3.9",
        build="pyhd8ed1ab_0",
        noarch="python",
        depends=("python >=3.11", "tinymath >=1.5"),
        purls=("pkg:pypi/tinyplot",),
        files=distribution("tinyplot", "3.9", code, folder="site-packages", requires=requires),
    )


def _tinyabi(subdir: str) -> Package:
    """``tinyabi``: ``noarch: python`` in a platform's subdir, as packages with a stable ABI are."""
    native = compile_c("int tinyabi_answer(void) { return 42; }\n", "libtinyabi.so", "-shared", "-fPIC")
    return Package(
        name="tinyabi",
        version="1.0",
        build="pyh0000000_0",
        subdir=subdir,
        noarch="python",
        depends=("python >=3.11", "__glibc >=2.17,<3.0.a0"),
        purls=("pkg:pypi/tinyabi",),
        files={
            **distribution("tinyabi", "1.0", _ABI3, folder="site-packages"),
            "site-packages/tinyabi/libtinyabi.so": File(native, executable=True),
        },
    )


def _tinymath(python: HostPython, subdir: str) -> Iterator[Package]:
    """``tinymath``: a PyPI project in several versions, built for each Python, as numpy is."""
    for version, age_days in (("1.0", 40), ("1.5", 30), ("2.0", 20), ("2.1", 10)):
        code = f"__version__ = {version!r}\n\ndef add(a, b):\n    return a + b\n"
        yield Package(
            name="tinymath",
            version=version,
            build=f"{python.label}h0000000_0",
            subdir=subdir,
            depends=_built_for(python),
            purls=("pkg:pypi/tinymath",),
            files=distribution("tinymath", version, code, folder=python.site_packages),
            timestamp_ms=TIMESTAMP_MS - age_days * DAY_MS,
        )


def _tinytensor(python: HostPython, subdir: str) -> Iterator[Package]:
    """``tinytensor``: a build for the CPU and a preferred one for CUDA, as pytorch has them."""
    for variant, number, more in (("cpu", 0, ()), ("cuda126", 200, ("__cuda >=12",))):
        code = f"BACKEND = {variant!r}\n"
        yield Package(
            name="tinytensor",
            version="2.5",
            build=f"{variant}_{python.label}h0000000_{number}",
            build_number=number,
            subdir=subdir,
            depends=(*_built_for(python), "tinymath >=1.5,<3", *more),
            constrains=(f"tinytensor-{'gpu' if variant == 'cpu' else 'cpu'} <0.0a0",),
            purls=("pkg:pypi/tinytensor",),
            files=distribution(
                "tinytensor", "2.5", code, folder=python.site_packages, requires=["tinymath>=1.5,<3"]
            ),
        )


def _built_for(python: HostPython) -> tuple[str, ...]:
    """What a package that was built for one Python depends on."""
    major, minor = python.minor.split(".")
    upper = f"{major}.{int(minor) + 1}.0a0"
    return (f"python >={python.minor},<{upper}", f"python_abi {python.minor}.* *_{python.abi}")
