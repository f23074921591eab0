"""What channels know and what the solver answers, on small channels in folders."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from envforge.errors import CondaUnsolvableError, ManifestError, PackageIndexError, RequirementError
from envforge.index.conda_source import ChannelLocation, CondaChannels
from envforge.model.conda import CondaQuestion, CondaRecord, VirtualPackage
from envforge.net.settings import NetworkSettings
from envforge.struct import replace

from support.conda_channel import write_channel

LINUX = "linux-64"
PYTHON = {"depends": ["python"]}
Open = Callable[..., CondaChannels]


@pytest.fixture
def open_channels(tmp_path: Path) -> Iterator[Open]:
    """Opens channels of the records in each table, the first table's first."""
    with ExitStack() as stack:

        def open_all(
            *tables: Sequence[Mapping[str, object]], rename: str = "channel", **options: Any
        ) -> CondaChannels:
            locations = []
            for number, table in enumerate(tables):
                folder = write_channel(tmp_path / f"{rename} {number}", table)
                locations.append(ChannelLocation(name=f"c{number}", url=folder.as_uri()))
            channels = CondaChannels(locations, NetworkSettings(), {}, tmp_path / "cache", **options)
            return stack.enter_context(channels)

        yield open_all


def _package(name: str, version: str, **fields: object) -> dict[str, object]:
    return {"name": name, "version": version, **fields}


def _ask(channels: CondaChannels, *specs: str, **options: Any) -> dict[str, CondaRecord]:
    records = channels.solve(CondaQuestion(platform=LINUX, specs=tuple(sorted(specs)), **options))
    assert [record.name for record in records] == sorted(record.name for record in records)
    return {record.name: record for record in records}


def test_solves_and_tells_whole_records(open_channels: Open, tmp_path: Path) -> None:
    channels = open_channels(
        [
            _package("a", "1.0", depends=["b >=2", "python"], timestamp=1700000000123, license="MIT"),
            _package("b", "2.0", subdir="noarch", noarch="generic", track_features="x y"),
            _package("python", "3.12.1", python_site_packages_path="lib/python3.12/site-packages"),
        ]
    )
    records = _ask(channels, "a")
    a, b = records["a"], records["b"]
    channel = (tmp_path / "channel 0").as_uri()
    assert (a.version, a.depends, a.timestamp_ms, a.license) == (
        "1.0",
        ("b >=2", "python"),
        1700000000123,
        "MIT",
    )
    assert a.url == f"{channel}/linux-64/a-1.0-0.conda"
    assert a.channel == channel
    assert a.pypi_names == ("a",)
    assert (b.noarch, b.subdir, b.track_features, b.pypi_names) == ("generic", "noarch", ("x", "y"), ())
    assert records["python"].python_site_packages_path == "lib/python3.12/site-packages"


def test_noarch_python_occurs_in_a_platform_too(open_channels: Open) -> None:
    channels = open_channels([_package("abi3", "1.0", noarch="python", subdir=LINUX)])
    record = _ask(channels, "abi3")["abi3"]
    assert (record.subdir, record.noarch, record.pypi_names) == (LINUX, "python", ("abi3",))


def test_the_first_channel_that_has_a_package_is_the_only_one(open_channels: Open) -> None:
    channels = open_channels(
        [_package("x", "1.0"), _package("needs", "1.0", depends=["x >=2"])],
        [_package("x", "2.0"), _package("x", "3.0", subdir="noarch"), _package("y", "1.0")],
    )
    assert set(channels.versions("x", LINUX)) == {"1.0"}
    assert _ask(channels, "x", "y")["x"].version == "1.0"
    # rattler alone takes 3.0 here: it drops what does not meet a spec before it looks at the priority
    with pytest.raises(CondaUnsolvableError):
        _ask(channels, "x >=2")
    with pytest.raises(CondaUnsolvableError) as caught:
        _ask(channels, "needs")
    assert any("strict channel priority" in line for line in caught.value.context)
    assert channels.names(LINUX) == {"x", "y", "needs"}


def test_noarch_of_the_first_channel_shadows_too(open_channels: Open) -> None:
    channels = open_channels([_package("x", "1.0", subdir="noarch")], [_package("x", "2.0")])
    assert set(channels.versions("x", LINUX)) == {"1.0"}
    assert set(channels.versions("x", "osx-arm64")) == {"1.0"}


def test_a_platform_that_a_channel_lacks(open_channels: Open) -> None:
    channels = open_channels([_package("x", "1.0"), _package("n", "1.0", subdir="noarch")])
    assert set(channels.versions("n", "win-64")) == {"1.0"}
    assert channels.versions("x", "win-64") == ()


def test_constraints_and_virtual_packages(open_channels: Open) -> None:
    channels = open_channels(
        [
            _package("x", "1.0"),
            _package("x", "2.0", depends=["__cuda >=12"]),
            _package("y", "1.0"),
        ]
    )
    cuda = (VirtualPackage("__cuda", "12.8"),)
    assert _ask(channels, "x")["x"].version == "1.0"
    assert _ask(channels, "x", virtual_packages=cuda)["x"].version == "2.0"
    assert _ask(channels, "x", virtual_packages=cuda, constraints=("x <2",))["x"].version == "1.0"
    assert set(_ask(channels, "x", constraints=("y ==1.0",))) == {"x"}, "a constraint asks for nothing"


def test_what_is_preferred_is_kept_while_the_channel_has_it(open_channels: Open) -> None:
    channels = open_channels(
        [_package("x", "1.0", depends=["y"]), _package("x", "2.0"), _package("y", "1.0"), _package("z", "1")]
    )
    old = _ask(channels, "x <2")["x"]
    stale = replace(old, depends=("gone",))
    kept = _ask(channels, "x", preferred=(stale,))
    assert kept["x"] == old, "with the dependencies that the channel gives it today"
    assert set(kept) == {"x", "y"}
    elsewhere = replace(old, url="https://example.com/linux-64/x-1.0-0.conda")
    removed = replace(old, version="0.9", url=old.url.replace("1.0", "0.9"))
    assert _ask(channels, "x", preferred=(elsewhere,))["x"].version == "2.0"
    assert _ask(channels, "x", preferred=(removed,))["x"].version == "2.0"
    nonsense = replace(old, version="!!")
    assert _ask(channels, "x", preferred=(nonsense,))["x"].version == "2.0"


def test_answers_are_remembered_failures_too(open_channels: Open, tmp_path: Path) -> None:
    channels = open_channels([_package("x", "1.0")])
    first = channels.solve(CondaQuestion(platform=LINUX, specs=("x",)))
    with pytest.raises(CondaUnsolvableError) as before:
        _ask(channels, "x >=2")
    shutil.rmtree(tmp_path / "channel 0")
    assert channels.solve(CondaQuestion(platform=LINUX, specs=("x",))) is first
    with pytest.raises(CondaUnsolvableError) as after:
        _ask(channels, "x >=2")
    assert before.value is after.value


def test_several_questions_at_once_have_the_answers_of_one_after_the_other(open_channels: Open) -> None:
    table = [
        _package("x", version, subdir=subdir, depends=["y"] if version == "2.0" else [])
        for version in ("1.0", "2.0")
        for subdir in (LINUX, "osx-arm64")
    ]
    table += [_package("y", "1.0", subdir="osx-arm64", depends=["python"]), _package("python", "3.12.1")]
    questions = [
        CondaQuestion(platform=platform, specs=(spec,), constraints=constraints)
        for platform in (LINUX, "osx-arm64", "win-64")
        for spec in ("x", "x >=2", "x >", "nothing")
        for constraints in ((), ("x <2",))
    ]
    ahead = open_channels(table, rename="same")
    alone = open_channels(table, rename="same")
    ahead.load(["x", "Y", "nothing", "no name!"], [LINUX, "osx-arm64", "win-64"])
    ahead.solve_ahead(questions)
    assert [_outcome(ahead, question) for question in questions] == [
        _outcome(alone, question) for question in questions
    ]
    for name in ("x", "y", "nothing"):
        for platform in (LINUX, "osx-arm64", "win-64"):
            assert sorted(ahead.versions(name, platform)) == sorted(alone.versions(name, platform))
            assert ahead.pypi_names(name, platform) == alone.pypi_names(name, platform)


def _outcome(channels: CondaChannels, question: CondaQuestion) -> object:
    try:
        return channels.solve(question)
    except (CondaUnsolvableError, RequirementError) as error:
        return type(error), error.message, error.context


def test_asking_ahead_asks_the_channel_once(open_channels: Open, tmp_path: Path) -> None:
    channels = open_channels([_package("x", "1.0"), _package("x", "2.0", subdir="osx-arm64")])
    questions = [CondaQuestion(platform=platform, specs=("x",)) for platform in (LINUX, "osx-arm64")]
    channels.solve_ahead(questions)
    shutil.rmtree(tmp_path / "channel 0")
    assert [channels.solve(question)[0].version for question in questions] == ["1.0", "2.0"]


def test_exclude_newer(open_channels: Open) -> None:
    channels = open_channels(
        [
            _package("x", "1.0", timestamp=1_600_000_000_000),
            _package("x", "2.0", timestamp=1_700_000_000_000),
            _package("untold", "1.0"),
        ],
        exclude_newer="2023-01-01T00:00:00Z",
    )
    assert _ask(channels, "x")["x"].version == "1.0"
    assert set(channels.versions("x", LINUX)) == {"1.0", "2.0"}
    with pytest.raises(CondaUnsolvableError) as caught:
        _ask(channels, "untold")
    assert any("no timestamp" in line for line in caught.value.context)


def test_exclude_newer_is_before_not_at(open_channels: Open) -> None:
    at = [_package("x", "1.0", timestamp=1_672_531_200_000)]
    with pytest.raises(CondaUnsolvableError):
        _ask(open_channels(at, exclude_newer="2023-01-01T00:00:00Z"), "x")
    assert _ask(open_channels(at, exclude_newer="2023-01-01T01:00:01+01:00"), "x")


def test_exclude_newer_holds_for_what_is_preferred(open_channels: Open) -> None:
    rows = [
        _package("x", "1.0", timestamp=1_600_000_000_000),
        _package("x", "2.0", timestamp=1_700_000_000_000),
    ]
    new = _ask(open_channels(rows), "x")["x"]
    channels = open_channels(rows, exclude_newer="2023-01-01T00:00:00Z")
    assert _ask(channels, "x", preferred=(new,))["x"].version == "1.0"


def test_names_of_pypi(open_channels: Open) -> None:
    channels = open_channels(
        [
            _package("pytorch", "2.0", **PYTHON),
            _package("zope.interface", "6.0", **PYTHON),
            _package("keyrings.google-auth", "1.0", **PYTHON),
            _package("matplotlib", "3.9", **PYTHON),
            _package("matplotlib-base", "3.9", **PYTHON),
            _package("ffmpeg", "7.1"),
            _package("x", "1.0", **PYTHON),
            _package("x", "2.0", purls=["pkg:pypi/other@2.0"]),
            _package("mine", "1.0"),
        ],
        conda_pypi_map={"mine": "Theirs", "x": "x", "zope.interface": ""},
    )
    assert channels.conda_names("torch", LINUX) == ("pytorch",)
    assert channels.conda_names("matplotlib", LINUX) == ("matplotlib", "matplotlib-base")
    assert channels.conda_names("keyrings-google-auth", LINUX) == ("keyrings.google-auth",)
    assert channels.conda_names("ffmpeg", LINUX) == ()
    assert channels.conda_names("pytorch", LINUX) == ()
    assert channels.conda_names("zope-interface", LINUX) == ()
    assert channels.conda_names("theirs", LINUX) == ("mine",)
    assert channels.pypi_names("nobody", LINUX) == ()


def test_a_purl_leads_to_a_project_of_another_name(open_channels: Open) -> None:
    channels = open_channels([_package("odd", "1.0", purls=["pkg:pypi/even@1.0"])])
    assert channels.pypi_names("odd", LINUX) == ("even",)
    assert channels.conda_names("odd", LINUX) == ()
    assert _ask(channels, "odd")["odd"].pypi_names == ("even",)
    assert channels.conda_names("even", LINUX) == ("odd",), "no name leads there, but a solution has it"


def test_names_that_cannot_be(open_channels: Open) -> None:
    channels = open_channels([_package("x", "1.0")])
    assert channels.versions("no name!", LINUX) == ()
    assert set(channels.versions("X", LINUX)) == {"1.0"}


def test_similar_names(open_channels: Open) -> None:
    channels = open_channels([_package("numpy", "1.0"), _package("ffmpeg", "7"), _package("scipy", "1")])
    assert channels.similar_names("NunPy", LINUX) == ("numpy",)
    assert channels.similar_names("qqq", LINUX) == ()
    with pytest.raises(CondaUnsolvableError) as caught:
        _ask(channels, "nunpy >=1")
    assert caught.value.hints == ("did you mean numpy for nunpy?",)


def test_a_long_report_is_cut(open_channels: Open) -> None:
    rows = [_package("x", f"{number}.0", depends=[f"missing{number}"]) for number in range(200)]
    with pytest.raises(CondaUnsolvableError) as caught:
        _ask(open_channels(rows), "x")
    assert "missing" in "".join(caught.value.context)
    assert 3 < len(caught.value.context) <= 61
    assert caught.value.context[-1].startswith("… and ")


def test_a_spec_that_is_none(open_channels: Open) -> None:
    with pytest.raises(RequirementError) as caught:
        _ask(open_channels([_package("x", "1.0")]), "x", "y 1.0")
    assert caught.value.message == "'y 1.0' is not a match spec"
    assert "range specifier" in caught.value.context[0]


def test_variables_in_a_url(tmp_path: Path) -> None:
    location = ChannelLocation(name="mine", url="https://${CHANNEL_USER}:${CHANNEL_KEY}@example.com/c")
    with pytest.raises(ManifestError, match="URL of channel 'mine' needs variables") as caught:
        CondaChannels([location], NetworkSettings(), {"CHANNEL_USER": "me"}, tmp_path)
    assert "CHANNEL_KEY" in caught.value.message
    with pytest.raises(ManifestError, match="not understood: ftp"):
        CondaChannels([ChannelLocation(name="f", url="ftp://x/c")], NetworkSettings(), {}, tmp_path)


class TestFolders:
    def test_one_that_is_not_there(self, tmp_path: Path) -> None:
        location = ChannelLocation(name="local", url=(tmp_path / "none").as_uri())
        with (
            CondaChannels([location], NetworkSettings(), {}, tmp_path / "cache") as channels,
            pytest.raises(PackageIndexError, match="'local' is a folder that does not exist") as caught,
        ):
            channels.versions("x", LINUX)
        assert caught.value.context == (f"folder: {tmp_path / 'none'}",)

    def test_one_that_is_no_channel(self, open_channels: Open, tmp_path: Path) -> None:
        channels = open_channels([_package("x", "1.0")], rename="ä b")
        shutil.rmtree(tmp_path / "ä b 0" / "noarch")
        with pytest.raises(PackageIndexError, match="folder of channel 'c0' is no conda channel") as caught:
            channels.versions("x", LINUX)
        assert f"folder: {tmp_path / 'ä b 0'}/noarch" in caught.value.context

    def test_broken_repodata(self, open_channels: Open, tmp_path: Path) -> None:
        channels = open_channels([_package("y", "1.0")], [_package("x", "1.0")])
        (tmp_path / "channel 1" / LINUX / "repodata.json").write_text('{"packages": 3')
        for _ in range(2):
            with pytest.raises(PackageIndexError, match="repodata of channel 'c1' cannot be read") as caught:
                channels.versions("x", LINUX)
            assert f"folder: {tmp_path / 'channel 1' / LINUX}" in caught.value.context
            assert any(line.startswith("reason: ") for line in caught.value.context)

    @pytest.mark.skipif(shutil.which("zstd") is None, reason="the program zstd is not installed")
    def test_only_packed_repodata(self, open_channels: Open, tmp_path: Path) -> None:
        rows = [_package("x", "1.0", depends=["y"]), _package("y", "1.0", subdir="noarch")]
        channels = open_channels(rows)
        folder = tmp_path / "channel 0"
        _pack(folder / LINUX)
        assert _ask(channels, "x")["x"].url == f"{folder.as_uri()}/linux-64/x-1.0-0.conda"
        assert _ask(channels, "y")["y"].channel == folder.as_uri()
        kept = _ask(channels, "x")["x"]
        write_channel(folder, [*rows, _package("x", "2.0")])
        _pack(folder / LINUX)
        again = CondaChannels(
            [ChannelLocation(name="c0", url=folder.as_uri())], NetworkSettings(), {}, tmp_path / "cache"
        )
        with again:
            assert _ask(again, "x")["x"].version == "2.0"
            assert _ask(again, "x", preferred=(kept,))["x"] == kept

    @pytest.mark.skipif(shutil.which("zstd") is None, reason="the program zstd is not installed")
    def test_damaged_packed_repodata(self, open_channels: Open, tmp_path: Path) -> None:
        channels = open_channels([_package("x", "1.0")])
        packed = _pack(tmp_path / "channel 0" / LINUX)
        packed.write_bytes(packed.read_bytes()[:-20])
        with pytest.raises(PackageIndexError, match="repodata of channel 'c0' cannot be read") as caught:
            channels.versions("x", LINUX)
        assert f"file: {packed}" in caught.value.context

    def test_packed_repodata_and_nothing_to_unpack_it(
        self, open_channels: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        try:
            import compression.zstd  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("this Python unpacks zstd itself")
        channels = open_channels([_package("x", "1.0")])
        plain = tmp_path / "channel 0" / LINUX / "repodata.json"
        plain.rename(plain.with_suffix(".json.zst"))
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(PackageIndexError, match="only packed repodata") as caught:
            channels.versions("x", LINUX)
        assert any("zstd -d" in hint for hint in caught.value.hints)


def test_nothing_is_read_before_it_is_asked(tmp_path: Path) -> None:
    location = ChannelLocation(name="local", url=(tmp_path / "none").as_uri())
    with CondaChannels([location], NetworkSettings(), {}, tmp_path / "cache"):
        pass
    assert not (tmp_path / "cache").exists()


def _pack(folder: Path) -> Path:
    subprocess.run(["zstd", "-q", "-f", "--rm", folder / "repodata.json"], check=True)
    packed = folder / "repodata.json.zst"
    assert packed.is_file()
    return packed
