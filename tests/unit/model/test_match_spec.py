from __future__ import annotations

import subprocess
import sys

import pytest

from envforge.errors import RequirementError
from envforge.model.match_spec import MatchSpecParts, parse_match_spec


@pytest.mark.parametrize(
    ("text", "name", "spec"),
    [
        ("ffmpeg", "ffmpeg", "*"),
        ("FFmpeg", "ffmpeg", "*"),
        ("ffmpeg *", "ffmpeg", "*"),
        ("  ffmpeg  >= 7.1 , <8 ", "ffmpeg", ">=7.1,<8"),
        ("ffmpeg>=7.1,<8", "ffmpeg", ">=7.1,<8"),
        ("cuda-toolkit 12.*", "cuda-toolkit", "12.*"),
        ("numpy ==1.26.4|==1.26.3", "numpy", "==1.26.4|==1.26.3"),
        ("numpy=1.26", "numpy", "=1.26"),
        ("numpy==1.26.4", "numpy", "==1.26.4"),
        ("numpy=1.26.4=py312h1_0", "numpy", "==1.26.4 py312h1_0"),
        ("pytorch 2.* cuda*", "pytorch", "2.* cuda*"),
        ("pytorch * *cuda*", "pytorch", "* *cuda*"),
        ("_openmp_mutex ==4.5 *_gnu", "_openmp_mutex", "==4.5 *_gnu"),
        ("zope.interface ~=6.0", "zope.interface", "~=6.0"),
        ("jpeg 9e.*|>=10", "jpeg", "9e.*|>=10"),
        ("numpy[build_number=1]", "numpy", "[build_number=1]"),
        ("numpy[version='>=1.2,<2', build='py312*']", "numpy", "[version='>=1.2,<2',build='py312*']"),
    ],
)
def test_reads(text: str, name: str, spec: str) -> None:
    assert parse_match_spec(text) == MatchSpecParts(name, spec)


@pytest.mark.parametrize(
    "text", ["numpy=1.26=py312*", "numpy >= 1.2, <2", "numpy[build_number=1]", "pytorch 2.* cuda*", "x=1.2"]
)
def test_what_is_read_is_read_again_and_rattler_takes_it(text: str) -> None:
    from rattler import MatchSpec

    parts = parse_match_spec(text)
    assert parse_match_spec(str(parts)) == parts
    MatchSpec(str(parts), strict=True)


@pytest.mark.parametrize(
    ("text", "marked", "hint"),
    [
        ("numpy 1.26.4", "1.26.4", "write numpy ==1.26.4 for exactly that, or numpy 1.26.4.*"),
        ("numpy >=>1", ">=>1", "write e.g. ffmpeg >=7.1,<8 or pytorch 2.* cuda*"),
        ("numpy >=1 <2", "<2", "between versions write a comma"),
        ("numpy ~=1.2.*", "*", "write ~=1.2, or 1.2.*"),
        ("numpy >1.*", "*", "write >1"),
        ("numpy >=1 0**", "0**", "write e.g."),
        ("fo@o >=1", "fo@o", "write e.g."),
        ("é", "é", "write e.g."),
        ("requests[socks]", " ", "packages of conda have no extras"),
        ("conda-forge::numpy", "conda-forge::", "leave it out: the first of tool.envforge.channels"),
        ("numpy[channel=defaults]", "channel", "leave channel out"),
        ("numpy[subdir=linux-64]", "subdir", "leave subdir out"),
        ("numpy-1.2-0.conda", "numpy-1.2-0.conda", "put the file into a channel"),
        ("__cuda >=12", "__cuda", "say what the system has: tool.envforge.system"),
    ],
)
def test_refuses_with_a_caret(text: str, marked: str, hint: str) -> None:
    with pytest.raises(RequirementError) as caught:
        parse_match_spec(text)
    shown, carets, reason, *_ = caught.value.context
    assert shown == text
    begin = len(carets) - len(carets.lstrip())
    assert f"{text} "[begin : begin + carets.count("^")] == marked
    assert reason
    assert any(line.startswith(hint) for line in caught.value.hints), caught.value.hints


@pytest.mark.parametrize("text", ["", "   "])
def test_refuses_nothing(text: str) -> None:
    with pytest.raises(RequirementError, match="empty"):
        parse_match_spec(text)


def test_a_url_is_refused_and_not_shown() -> None:
    with pytest.raises(RequirementError) as caught:
        parse_match_spec("https://me:secret@host/noarch/x-1-0.conda")
    assert "secret" not in str([caught.value.message, *caught.value.context, *caught.value.hints])


def test_plain_specs_do_not_import_rattler() -> None:
    texts = ["ffmpeg", "cuda-toolkit 12.*", "ffmpeg >=7.1,<8", "pytorch 2.* cuda*", "python ==3.12.4"]
    code = (
        "import sys; from envforge.model.match_spec import parse_match_spec\n"
        f"for text in {texts!r}: parse_match_spec(text)\n"
        "assert 'rattler' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
