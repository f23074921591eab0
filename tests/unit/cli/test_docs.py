"""The documentation says what the command line does.

Examples are lines ``$ envforge …`` in blocks marked ``console``. Blocks marked ``console run`` are
complete: they can be run from top to bottom in an empty folder.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from envforge.cli.commands import COMMANDS
from envforge.cli.options import refuse_unknown_options, split_at_first_word
from envforge.cli.program import _split_command, command_parser
from envforge.errors import EnvforgeError

DOCS = Path(__file__).parents[3] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
OPTION = re.compile(r"`(-[^`]*)`")
BLOCK = re.compile(r"^```(console[^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def documented_options(page: Path) -> list[str]:
    """``--group NAME`` and the like in the first column of the tables under "Options"."""
    section = page.read_text(encoding="utf-8").split("\n## Options\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [option for cell in cells for option in OPTION.findall(cell)]


def declared_options(name: str, *, everywhere: bool) -> list[str]:
    """The same of a parser: its own options, or those that every command has."""
    found = []
    parser = command_parser(name)
    for group in parser._action_groups:
        if (group.title or "").startswith("global") != everywhere:
            continue
        for action in group._group_actions:
            if action.help == "==SUPPRESS==":
                continue
            value = "" if action.nargs == 0 else f" {action.metavar}"
            *short, long = action.option_strings or [""]
            found += [*short, long + value] if long else []
    return found


def examples() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for _, block in BLOCK.findall(page.read_text(encoding="utf-8")):
            lines = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
            found += [(page.name, line) for line in lines]
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_has_the_options_of_its_command(name):
    page = DOCS / "commands" / f"{name}.md"
    assert documented_options(page) == declared_options(name, everywhere=False)


def test_the_page_of_options_has_those_of_every_command():
    assert documented_options(DOCS / "options.md") == declared_options("sync", everywhere=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_shows_usage_and_all_sections(name):
    text = (DOCS / "commands" / f"{name}.md").read_text(encoding="utf-8")
    usage = command_parser(name).format_usage().removeprefix("usage: ").strip()
    assert text.startswith(f"# envforge {name}\n")
    assert f"\n    {usage}\n" in text
    for section in ("Options", "Examples", "Exit codes"):
        assert f"\n## {section}\n" in text
    reports = "--json" in command_parser(name).option_names()
    assert ("\n## JSON\n" in text) == reports


def test_every_page_belongs_to_a_command():
    assert {page.stem for page in (DOCS / "commands").iterdir()} == set(COMMANDS)


@pytest.mark.parametrize(("page", "line"), examples())
def test_every_example_is_understood(page, line):
    program, *words = shlex.split(line)
    assert program == "envforge"
    before, name, after = _split_command(words)
    parser = command_parser(name)
    if name == "run":
        after, rest = split_at_first_word(parser, after)
        assert rest
    refuse_unknown_options(parser, [*before, *after])
    parser.parse_args([*before, *after])


def test_there_are_examples_of_every_command():
    shown = {_split_command(shlex.split(line)[1:])[1] for _, line in examples()}
    assert shown == set(COMMANDS)


def test_every_link_leads_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).is_file(), f"{page}: {target}"


def test_every_error_code_is_documented():
    import envforge.index.failures  # noqa: F401 - an error that is defined beside its only user

    def codes(error: type[EnvforgeError]) -> set[str]:
        return {error.code}.union(*(codes(child) for child in error.__subclasses__()))

    text = (DOCS / "options.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`([a-z-]+)`", text.split("One of:")[1].split("##")[0]))
    ours = {code for code in codes(EnvforgeError) if code}
    assert ours | {"bug"} == listed


def test_the_manifest_page_is_a_manifest_and_names_every_key():
    from envforge.manifest.parse import parse_manifest
    from envforge.manifest.settings import _KEYS
    from envforge.model.target import PLATFORMS

    text = (DOCS / "manifest.md").read_text(encoding="utf-8")
    first, *more = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    parse_manifest("\n".join([first, *more]), "docs/manifest.md")
    for word in (*_KEYS, *PLATFORMS):
        assert f"`{word}`" in text


def test_the_lock_page_names_every_key():
    from envforge.lock.schema import DIRECT_VERSION, VARIANT_VERSION, VERSION
    from envforge.lock.write import format_lock
    from envforge.model.lock import Lock, LockedFile, LockedIndex, LockedPackage, LockedTarget
    from envforge.model.target import Target

    lock = Lock(
        inputs="sha256:0",
        exclude_newer="2026-11-01T00:00:00Z",
        indexes=(LockedIndex(name="pypi", url="https://pypi.org/simple"),),
        targets=(
            LockedTarget(
                target=Target(platform="linux-64", python="3.12", variant="cpu"), groups={"project": ("a",)}
            ),
        ),
        packages={
            "a": LockedPackage(
                id="a",
                name="a",
                version="1",
                index="pypi",
                requires=("b",),
                requires_python=">=3.8",
                files=(LockedFile(url="https://a", sha256="0", size_bytes=1, targets=("linux-64",)),),
            )
        },
    )
    text = (DOCS / "lock.md").read_text(encoding="utf-8")
    keys = set(re.findall(r'"([a-z0-9-]+)":', format_lock(lock))) - {"a"}
    assert keys >= {"sha256", "targets", "packages", "exclude-newer", "requires-python"}
    for key in keys - {"project"}:
        assert f"`{key}`" in text
    versions = f"of the format: {VERSION}; of a project with variants {VARIANT_VERSION}; "
    assert versions in text
    assert f"from folders, archives, URLs or git {DIRECT_VERSION} |" in text
