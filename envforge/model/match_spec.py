"""Match specs as a user writes them: the name and the rest, checked.

Standard: CEP 29. The plain ones (``ffmpeg >=7.1,<8``, ``pytorch 2.* cuda*``) are told by a regular
expression, because they are read on the way of every sync and py-rattler takes 26 ms to import; anything
else is put to its parser in strict mode. Packages are not matched here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from envforge.errors import RequirementError
from envforge.struct import Struct

if TYPE_CHECKING:
    from rattler import MatchSpec

ANY = "*"

# texts, not compiled: most manifests need three of these, and all together would cost 2 ms at start-up
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_RELEASE = r"[0-9]+(?:\.[0-9]+)*"
_VERSION = rf"{_RELEASE}(?:(?:a|b|rc|\.dev|\.post)[0-9]+)?"
_RANGE = rf"(?:[<>]=?|[=!]=){_VERSION}|(?:!=)?{_RELEASE}\.\*|={_RELEASE}"
_BUILD = r"(?:[A-Za-z0-9_]|\*(?!\*))+"
_THREE_PARTS = rf"({_NAME})={{1,2}}([^=<>!~*,|\s]+)=([^=<>!~,|\s]+)"
_QUOTED = r"'([^']+)'|: (\S+)$"
_ONLY_VERSION = rf"({_NAME}) ({_VERSION})"
_OPERATOR_AND_STAR = r"(>=|<=|==|~=|=|>|<) ?([0-9][0-9.]*)\.\*"


class MatchSpecParts(Struct, frozen=True):
    """A match spec in two.

    Args:
        name: of the package, lower case.
        spec: of its version and build, as written but for spaces; ``*`` for any.
    """

    name: str
    spec: str = ANY

    def __str__(self) -> str:
        return self.name if self.spec == ANY else f"{self.name} {self.spec}"


@cache
def parse_match_spec(text: str) -> MatchSpecParts:
    """Read the match spec of a package that a user wants.

    Args:
        text: ``ffmpeg``, ``ffmpeg >=7.1``, ``pytorch=2.5``, ``pytorch 2.* cuda*``, ``numpy[build_number=1]``;
            conda's ``name=version=build`` too.

    Raises:
        RequirementError: the text is none, or says more than which packages are wanted (a channel, a URL, a
            file); the context holds it with a caret at the fault.
    """
    tidy = " ".join(text.split())
    three = re.fullmatch(_THREE_PARTS, tidy) if tidy.count("=") > 1 else None
    if three:
        tidy = f"{three[1]} =={three[2]} {three[3]}"
    _refuse_what_is_no_spec(tidy)
    name = _name_of_plain(tidy) or _checked_name(tidy)
    if name.startswith("__"):
        raise _fault(
            tidy,
            "is a virtual package: a fact about the system, and nothing that can be installed",
            name,
            [
                "say what the system has: tool.envforge.system",
                f"or in a variant: when = {{ {name[2:]} = … }}",
            ],
        )
    rest = tidy[len(name) :].strip()
    return MatchSpecParts(name.lower(), _without_inner_spaces(rest) if rest else ANY)


def _name_of_plain(text: str) -> str:
    """The name in a plain spec: a name, ranges, a build; ``""`` for any other text."""
    found = re.match(_NAME, text)
    if found is None:
        return ""
    rest = text[found.end() :]
    versions, _, build = _without_inner_spaces(rest).strip().partition(" ")
    is_any = versions == ANY and rest[0] == " "
    if rest and not is_any and not all(re.fullmatch(_RANGE, part) for part in re.split(r"[,|]", versions)):
        return ""
    return found[0] if not build or re.fullmatch(_BUILD, build) else ""


def _without_inner_spaces(rest: str) -> str:
    """``>= 1.2, <2`` → ``>=1.2,<2``."""
    return re.sub(r"(?<=[<>=!~,|]) | (?=[,|])", "", rest)


def _checked_name(text: str) -> str:
    """The name in a text that is not plain, once py-rattler has found the text right."""
    from rattler import MatchSpec
    from rattler.exceptions import InvalidMatchSpecError

    try:
        parsed = MatchSpec(text, strict=True)
    except InvalidMatchSpecError as error:
        reason = str(error).splitlines()[0]
        raise _fault(text, reason, _faulty_part(text, reason), _advise(text, reason)) from None
    _refuse_places(text, parsed)
    start = re.match(_NAME, text)
    if start is None:
        raise _fault(text, "does not begin with the name of a package", text[:1])
    return start[0]


def _refuse_what_is_no_spec(text: str) -> None:
    if not text:
        raise RequirementError("a match spec is empty", hints=["write e.g. ffmpeg >=7.1"])
    into_channel = (
        "put the file into a channel (a folder with subdirs), and name that in tool.envforge.channels"
    )
    if "://" in text:  # it may hold a password, so it is not shown
        raise RequirementError("a URL is not a match spec", hints=[into_channel])
    if text.endswith((".conda", ".tar.bz2")):
        raise _fault(text, "is a file, not a package of a channel", text, [into_channel])
    if "::" in text:
        channel = text.partition("::")[0]
        raise _fault(
            text,
            "names a channel",
            f"{channel}::",
            [
                "leave it out: the first of tool.envforge.channels that has a package is used for it",
                f"to add one: channels = [..., {channel!r}]",
            ],
        )


def _refuse_places(text: str, parsed: MatchSpec) -> None:
    """What a spec in brackets may say of places."""
    for key, value in (("channel", parsed.channel), ("subdir", parsed.subdir), ("fn", parsed.file_name)):
        if value:
            raise _fault(text, f"says where the package is ({key})", key, [f"leave {key} out"])
    if re.search(r"[\[,;] ?url ?=", text):
        raise _fault(text, "says where the package is (url)", "url", ["leave url out"])


def _faulty_part(text: str, reason: str) -> str:
    """The piece of the text that a message of py-rattler quotes, ``""`` where it quotes none."""
    for quoted, last in re.findall(_QUOTED, reason):
        part = quoted or last
        if part and part in text:
            return str(part)
    starred = re.search(_OPERATOR_AND_STAR, text)
    return starred[0] if starred else ""


def _advise(text: str, reason: str) -> Iterator[str]:
    version = re.fullmatch(_ONLY_VERSION, text)
    starred = re.search(_OPERATOR_AND_STAR, text)
    if version:
        yield f"write {version[1]} =={version[2]} for exactly that, or {version[1]} {version[2]}.*"
    elif starred:
        yield f"write {starred[1]}{starred[2]}" + (f", or {starred[2]}.*" if "=" in starred[1] else "")
    elif "build string" in reason:
        yield "between versions write a comma: >=1.2,<2; after the versions comes the build: 2.* cuda*"
    elif "[" in text and "=" not in text[text.index("[") : text.find("]") + 1]:
        yield "packages of conda have no extras: leave them out, or take the package from PyPI"
    else:
        yield "write e.g. ffmpeg >=7.1,<8 or pytorch 2.* cuda*"


def _fault(text: str, reason: str, part: str, hints: Iterator[str] | list[str] = []) -> RequirementError:  # noqa: B006
    """The error, with a caret under a piece of the text."""
    begin = text.rfind(part) if part else len(text)
    column = begin if begin >= 0 else 0
    return RequirementError(
        f"{text!r} is not a match spec that can be used",
        context=[text, " " * column + "^" * max(1, len(part)), reason],
        hints=hints,
    )
