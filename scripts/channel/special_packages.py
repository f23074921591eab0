"""Packages that exist for one trait: activation, link scripts, clobbering, features, constraints."""

from __future__ import annotations

from collections.abc import Iterator

from .package import File, Package

_POST_LINK = """\
#!/bin/sh
echo "$PKG_NAME $PKG_VERSION was linked into $PREFIX" > "$PREFIX/share/linkscript.txt"
"""
_PRE_UNLINK = """\
#!/bin/sh
rm -f "$PREFIX/share/linkscript.txt"
"""
_FAILING_POST_LINK = """\
#!/bin/sh
echo tried > "$PREFIX/share/linkscript-fails.txt"
echo "this script always fails" >&2
exit 7
"""


def special_packages(subdir: str) -> Iterator[Package]:
    """All of them."""
    yield activation_package(subdir)
    yield from _link_scripts()
    yield from _clobbering()
    yield from _tinyblas(subdir)
    yield Package(
        name="tinylimits",
        version="1.0",
        noarch="generic",
        constrains=("tinymath <2",),
        files={"share/tinylimits.txt": File(b"needs no tinymath, but no new one beside it\n")},
    )
    yield Package(name="needs-missing", version="1.0", noarch="generic", depends=("nobody-has-this >=1",))


def activation_package(subdir: str) -> Package:
    """``greet-env``: what ``run`` and ``shell`` have to set, by script and by ``env_vars.d``."""
    fish = b'set -gx GREET_HOME "$CONDA_PREFIX/share/greet-env"\n'
    return Package(
        name="greet-env",
        version="1.0",
        build="h0000000_0",
        subdir=subdir,
        files={
            "etc/conda/activate.d/greet-env.sh": File(b'export GREET_HOME="$CONDA_PREFIX/share/greet-env"\n'),
            "etc/conda/deactivate.d/greet-env.sh": File(b"unset GREET_HOME\n"),
            "etc/conda/activate.d/greet-env.fish": File(fish),
            "etc/conda/deactivate.d/greet-env.fish": File(b"set -e GREET_HOME\n"),
            "etc/conda/env_vars.d/greet-env.json": File(b'{"GREET_STYLE": "loud"}\n'),
            "share/greet-env/style.txt": File(b"loud\n"),
        },
    )


def _link_scripts() -> Iterator[Package]:
    """``linkscript`` writes a file when it is linked; the script of ``linkscript-fails`` fails."""
    yield Package(
        name="linkscript",
        version="1.0",
        noarch="generic",
        files={
            "bin/.linkscript-post-link.sh": File(_POST_LINK.encode(), executable=True),
            "bin/.linkscript-pre-unlink.sh": File(_PRE_UNLINK.encode(), executable=True),
            "share/linkscript/README.txt": File(b"has link scripts\n"),
        },
    )
    yield Package(
        name="linkscript-fails",
        version="1.0",
        noarch="generic",
        files={
            "bin/.linkscript-fails-post-link.sh": File(_FAILING_POST_LINK.encode(), executable=True),
            "share/linkscript-fails/README.txt": File(b"has a link script that fails\n"),
        },
    )


def _clobbering() -> Iterator[Package]:
    """``clobber-a`` and ``clobber-b`` have one path in common, with different content."""
    for letter, extension in (("a", ".conda"), ("b", ".tar.bz2")):
        yield Package(
            name=f"clobber-{letter}",
            version="1.0",
            noarch="generic",
            extension=extension,
            files={
                "share/clobber/shared.txt": File(f"of {letter}\n".encode()),
                f"share/clobber/{letter}.txt": File(f"of {letter} alone\n".encode()),
            },
        )


def _tinyblas(subdir: str) -> Iterator[Package]:
    """``tinyblas``: the build with the higher number is weighed down by ``track_features``."""
    for kind, number, features in (("openblas", 1, ()), ("reference", 2, ("tinyblas-reference",))):
        yield Package(
            name="tinyblas",
            version="3.9",
            build=f"h0000000_{number}_{kind}",
            build_number=number,
            subdir=subdir,
            track_features=features,
            files={"share/tinyblas.txt": File(f"{kind}\n".encode())},
        )
