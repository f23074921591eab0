from __future__ import annotations

import pytest

from envforge.manifest.manifest import DEFAULT_INDEX, Index, Settings
from envforge.manifest.parse import parse_manifest
from envforge.model.sources import IndexSource
from envforge.model.target import DEFAULT_PLATFORMS, SystemAssumptions

HEAD = '[project]\nname = "x"\n'


def settings_of(body: str) -> Settings:
    return parse_manifest(f"{HEAD}[tool.envforge]\n{body}\n").settings


def test_defaults():
    settings = parse_manifest(HEAD).settings
    assert settings == Settings()
    assert settings.platforms == DEFAULT_PLATFORMS
    assert settings.indexes == (Index(name="pypi", url="https://pypi.org/simple", default=True),)
    assert settings.system == SystemAssumptions((2, 28), (14, 0))


def test_a_real_one(read_corpus):
    settings = parse_manifest(read_corpus("training")).settings
    assert settings.platforms == ("linux-64", "osx-arm64")
    assert settings.python == "3.12"
    assert settings.exclude_newer == "2026-11-01T00:00:00Z"
    assert settings.unshare == ("mlflow",)
    assert settings.sources == {"torch": IndexSource("pytorch-cu128")}
    assert settings.default_groups == ("dev",)
    assert [index.name for index in settings.indexes] == ["internal", "pypi", "pytorch-cu128"]


def test_indexes_are_asked_in_the_order_declared_then_default_then_explicit(read_corpus):
    indexes = parse_manifest(read_corpus("groups_only_tools")).settings.indexes
    assert [(index.name, index.default, index.explicit) for index in indexes] == [
        ("mirror", True, False),
        ("local", False, True),
    ]
    both = settings_of('index = [{name = "b", url = "https://b.org"}, {name = "a", url = "https://a.org"}]')
    assert [index.name for index in both.indexes] == ["b", "a", "pypi"]
    assert both.indexes[-1] == DEFAULT_INDEX


def test_pypi_may_be_replaced_under_its_own_name():
    settings = settings_of('index = [{name = "pypi", url = "https://mirror.example.org", default = true}]')
    assert [index.url for index in settings.indexes] == ["https://mirror.example.org"]


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://me:secret@example.org/simple", "https://example.org/simple"),
        ("https://${USER}:${TOKEN}@${HOST}:8443/simple/", "https://${HOST}:8443/simple/"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/"),
        ("http://[::1]:8080/simple", "http://[::1]:8080/simple"),
        ("file:///srv/wheels", "file:///srv/wheels"),
        ("https://example.org/feed@Release/simple", "https://example.org/feed@Release/simple"),
    ],
)
def test_urls_keep_their_text_but_only_the_public_part_is_shown(url, public):
    index = settings_of(f'index = [{{name = "i", url = "{url}"}}]').indexes[0]
    assert index.url == url
    assert index.public_url == public
    assert "secret" not in repr(index)


@pytest.mark.parametrize(
    "url",
    [
        "example.org/simple",
        "ftp://example.org/simple",
        "https://me:hunter2@@example.org",
        "https://me:hun/ter2@example.org",
        "https://example.org/simple?token=hunter2",
        "https://example.org/simple#hunter2",
        "https://exa mple.org/hunter2",
        "https://",
    ],
)
def test_a_wrong_url_is_refused_without_being_shown(url, error_lines):
    shown = "\n".join(error_lines(settings_of, f'index = [{{name = "i", url = "{url}"}}]'))
    assert "pyproject.toml:4: tool.envforge.index[0].url: is not the URL of an index" in shown
    assert "hun" not in shown


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ('"2026-11-01"', "2026-11-01T00:00:00Z"),
        ("2026-11-01", "2026-11-01T00:00:00Z"),
        ('"2026-11-01T12:30:00Z"', "2026-11-01T12:30:00Z"),
        ('"2026-11-01T12:30:00+02:00"', "2026-11-01T10:30:00Z"),
        ("2026-11-01T12:30:00-05:30", "2026-11-01T18:00:00Z"),
        ("2026-11-01 12:30:00", "2026-11-01T12:30:00Z"),
        ('"2026-11-01T12:30:00.250000Z"', "2026-11-01T12:30:00.250000Z"),
    ],
)
def test_exclude_newer_is_an_instant_in_utc(value, instant):
    assert settings_of(f"exclude-newer = {value}").exclude_newer == instant


def test_default_groups_are_dev_if_there_is_one():
    groups = "[dependency-groups]\nDev = []\ntest = []\n"
    assert parse_manifest(HEAD + groups).settings.default_groups == ("dev",)
    chosen = parse_manifest(f'{HEAD}{groups}[tool.envforge]\ndefault-groups = ["Test"]\n')
    assert chosen.settings.default_groups == ("test",)
    assert (
        parse_manifest(f"{HEAD}{groups}[tool.envforge]\ndefault-groups = []\n").settings.default_groups == ()
    )


def test_a_patch_version_and_system_versions():
    settings = settings_of('python = "3.12.4"\nsystem = { glibc = "2.17", macos = "11.0" }')
    assert settings.python == "3.12.4"
    assert settings.system == SystemAssumptions((2, 17), (11, 0))


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ("platform = []", "tool.envforge.platform: unknown key", "did you mean platforms?"),
        (
            "zzz = 1",
            "tool.envforge.zzz: unknown key",
            "known are: accelerator-mirror, build, build-constraints, channels",
        ),
        (
            'accelerator-mirror = "mirror"',
            "tool.envforge.accelerator-mirror: is no URL",
            'accelerator-mirror = "https://',
        ),
        ("channels = []", "tool.envforge.channels: is empty", '["conda-forge"]'),
        ('channels = ["ftp://x"]', "channels[0]: is no channel", "write a name"),
        ('channels = ["a", "a"]', "channels[1]: 'a' is there twice", "remove one"),
        ("conda-dependencies.ffmpeg = 7", "conda-dependencies.ffmpeg: is a number", 'ffmpeg = "*"'),
        ('conda-dependencies.ffmpeg = ">=="', "conda-dependencies.ffmpeg: 'ffmpeg >=='", "write e.g."),
        (
            'conda-dependencies.ffmpeg = { versoin = "7" }',
            "conda-dependencies.ffmpeg.versoin: unknown key",
            "did you mean version?",
        ),
        (
            'conda-dependencies.ffmpeg = { platforms = ["osx-64"] }',
            "platforms[0]: osx-64 is not locked for",
            "tool.envforge.platforms",
        ),
        (
            'conda-dependencies = { ffmpeg = "*", FFmpeg = "*" }',
            "conda-dependencies.FFmpeg: ffmpeg is there twice",
            "remove one",
        ),
        ('conda-dependencies."a b" = "*"', "'a b' is no name of a conda package", "name only"),
        ("conda-dependencies = []", "tool.envforge.conda-dependencies: is a list, not a table", ""),
        ('conda-dependencies.__cuda = "*"', "is a virtual package", "tool.envforge.system"),
        ('conda-dependencies.a = "conda-forge::>=1"', "names a channel", "channels"),
        (
            'conda-dependencies.a = { platforms = ["linux"] }',
            "unknown platform 'linux'",
            "did you mean linux",
        ),
        ("conda-dependencies.a = { version = 7 }", "conda-dependencies.a.version: is a number", ">=1.2"),
        ('conda-pypi-map = "map.json"', "conda-pypi-map: files of names are not supported yet", "on-pypi"),
        ('conda-pypi-map = { a = "b>=1" }', "conda-pypi-map.a: 'b>=1' is no name of a project", "name only"),
        ('channels = ["https://h/c?token=s3cret"]', "channels[0]: is no channel", "a URL without query"),
        ('channels = "conda-forge"', "tool.envforge.channels: is a text, not a list", '["conda-forge"]'),
        ('channels = ["a/", "a"]', "channels[1]: 'a' is there twice", "remove one"),
        ("channels = ['']", "channels[0]: is empty", ""),
        ("system = {cuda = '12'}", "tool.envforge.system.cuda: '12' is no version", 'cuda = "12.8"'),
        ("system = {archspec = 1}", "tool.envforge.system.archspec: is a number", "x86_64_v3"),
        ("conda-pypi-map.a = 1", "conda-pypi-map.a: is a number", "name-on-pypi"),
        ('link-scripts = ["a b"]', "link-scripts[0]: 'a b' is no name", "name only"),
        ("workspace = {}", "tool.envforge.workspace: names no members", "packages/*"),
        ("dependencies = []", "tool.envforge.dependencies: does not belong here", "project.dependencies"),
        ('platforms = ["linux64"]', "platforms[0]: unknown platform 'linux64'", "did you mean linux-64?"),
        ('platforms = ["beos"]', "platforms[0]: unknown platform 'beos'", "known are: linux-64"),
        ("platforms = []", "tool.envforge.platforms: is empty", "linux-64"),
        ('platforms = "linux-64"', "tool.envforge.platforms: is a text, not a list", '["linux-64"]'),
        ('platforms = ["win-64", "win-64"]', "platforms[1]: 'win-64' is there twice", "remove one"),
        ("python = 3.12", "tool.envforge.python: is a number, not a text", 'python = "3.12"'),
        ('python = ">=3.11"', "'>=3.11' is no Python version", "project.requires-python"),
        ('python = "2.7"', "'2.7' is no Python version", '"3.12"'),
        ('exclude-newer = "7m"', "'7m' is no date and no age", '"7d"'),
        ('exclude-newer = "P1M"', "'P1M' is no date and no age", '"7d"'),
        ("exclude-newer-package = { a = true }", "tool.envforge.exclude-newer-package.a: is true", "false"),
        ('exclude-newer-package = { a = "soon" }', "'soon' is no date and no age", "2026-11-01"),
        ('exclude-newer = "yesterday"', "'yesterday' is no date", "2026-11-01"),
        ('exclude-newer = ""', "'' is no date", "2026-11-01"),
        ("exclude-newer = 7", "is a number, not a date", "2026-11-01"),
        ("exclude-newer = 07:30:00", "is a date or time, not a date", "2026-11-01"),
        ('exclude-newer = "0001-01-01T00:00:00+05:00"', "is no date", "2026-11-01"),
        ("[tool.envforge.index]\nname = 'a'", "is a table, not a list of tables", "[[tool.envforge.index]]"),
        ('index = [{url = "https://a.org"}]', "tool.envforge.index[0]: an index needs a name", "add name ="),
        ('index = [{name = "a"}]', "tool.envforge.index[0]: an index needs a url", "add url ="),
        ('index = [{name = "a b", url = "https://a.org"}]', "'a b' is no name for an index", "letters"),
        (
            'index = [{name = "a", url = "https://a.org", explict = true}]',
            "explict: unknown key",
            "explicit?",
        ),
        (
            'index = [{name = "a", url = "https://a.org", default = 1}]',
            "is a number, not true or false",
            "true",
        ),
        (
            'index = [{name = "a", url = "https://a.org", default = true, explicit = true}]',
            "tool.envforge.index[0]: an index cannot be explicit",
            "remove one of the two",
        ),
        (
            'index = [{name = "a", url = "https://a.org"}, {name = "A", url = "https://b.org"}]',
            "tool.envforge.index[1].name: there are two indexes 'A'",
            "rename one",
        ),
        (
            'index = [{name = "a", url = "https://a.org", default = true}, '
            '{name = "b", url = "https://b.org", default = true}]',
            "tool.envforge.index[1].default: 'a' is the default already",
            "remove one of the two",
        ),
        (
            'index = [{name = "PyPI", url = "https://b.org"}]',
            "tool.envforge.index[0].name: 'pypi' is the name of the default index",
            "default = true",
        ),
        ('sources = {torch = "a"}', "tool.envforge.sources.torch: is a text, not a table", "index ="),
        ('sources = {torch = {index = "pypy"}}', "there is no index 'pypy'", "did you mean pypi?"),
        (
            'sources = {torch = {indx = "pypi"}}',
            "sources.torch.indx: is no key of a source",
            "did you mean index?",
        ),
        (
            "sources = {torch = {}}",
            "sources.torch: names no source",
            "name one of git, index, path, url, workspace",
        ),
        (
            'sources = {torch = {url = "https://a.org/a.zip", path = "./a"}}',
            "tool.envforge.sources.torch: names two sources: url and path",
            "keep one of them",
        ),
        (
            'sources = {torch = {path = "./a", editble = true}}',
            "sources.torch.editble: is no key of a source with path",
            "did you mean editable?",
        ),
        (
            'sources = {torch = {url = "https://a.org/a.exe"}}',
            "sources.torch.url: is not the URL of a wheel or an sdist",
            "name a file that ends with .whl",
        ),
        (
            'sources = {torch = {url = "https://a.org/a.zip#sha256=12"}}',
            "sources.torch.url: has a sha256 that is none",
            "64 hexadecimal digits",
        ),
        (
            'sources = {torch = {url = "https://a.org/a.zip", subdirectory = "../b"}}',
            "sources.torch.subdirectory: '../b' is no folder inside a source",
            "from the top of the source",
        ),
        ("sources = {torch = {workspace = false}}", "torch.workspace: has to be true", "or remove it"),
        ('sources = {"a.b" = 1}', 'tool.envforge.sources."a.b": is a number', 'write "a.b" = { index'),
        (
            'sources = {A-b = {index = "pypi"}, a_B = {index = "pypi"}}',
            "tool.envforge.sources.a_B: is the same project as 'A-b'",
            "put both into one",
        ),
        ("system = {glib = '2.28'}", "tool.envforge.system.glib: unknown key", "did you mean glibc?"),
        ("system = {glibc = 2.28}", "tool.envforge.system.glibc: is a number", 'glibc = "2.28"'),
        ("system = {macos = '13'}", "tool.envforge.system.macos: '13' is no version", 'macos = "14.0"'),
        ("unshare = ['torch>=2']", "unshare[0]: 'torch>=2' is no name of a project", "without a version"),
        ("default-groups = ['dev']", "default-groups[0]: there is no group 'dev'", "[dependency-groups]"),
    ],
)
def test_what_cannot_be_meant_is_refused(body, message, hint, error_lines):
    lines = error_lines(settings_of, body)
    assert len(lines) == 2, lines
    assert message in lines[0]
    assert hint in lines[1]


def test_the_tool_table_itself_may_be_wrong(error_lines):
    assert (
        "tool.envforge: is a text, not a table"
        in error_lines(parse_manifest, f'{HEAD}[tool]\nenvforge = ""\n')[0]
    )
    assert "tool: is a number, not a table" in error_lines(parse_manifest, "tool = 1\n" + HEAD)[0]


def test_conda():
    settings = settings_of(
        """
        channels = ["conda-forge", "https://me:word@host.test/chan/", "./local"]
        link-scripts = ["Tool"]
        conda-pypi-map = { mine = "My.Project", lib = "" }
        [tool.envforge.system]
        cuda = "12.8"
        linux = "5.10"
        archspec = "x86_64_v3"
        [tool.envforge.conda-dependencies]
        ffmpeg = ">= 7, <8"
        cuda-toolkit = { version = "12.*", platforms = ["linux-64"] }
        pytorch = { build = "*cuda*" }
        """
    )
    assert [channel.name for channel in settings.channels] == [
        "conda-forge",
        "https://host.test/chan",
        "./local",
    ]
    assert settings.channels[0].public_url == "https://conda.anaconda.org/conda-forge"
    assert "word" not in repr(settings)
    assert [dependency.match_spec for dependency in settings.conda_dependencies] == [
        "ffmpeg >=7,<8",
        "cuda-toolkit 12.*",
        "pytorch * *cuda*",
    ]
    assert [dependency.platforms for dependency in settings.conda_dependencies] == [(), ("linux-64",), ()]
    assert settings.system.cuda == (12, 8)
    assert settings.system.linux == (5, 10)
    assert settings.conda_pypi_map == {"mine": "my-project", "lib": ""}
    assert settings.link_scripts == ("tool",)


def test_channels_of_every_kind():
    settings = settings_of(
        """
        channels = [
            "bioconda/label/main",
            "file:///srv/chan/",
            "../shared/chan",
            "/opt/chan",
            "~/chan",
            "https://${USER}:${TOKEN}@host.test/t/chan",
        ]
        """
    )
    assert [channel.public_url for channel in settings.channels] == [
        "https://conda.anaconda.org/bioconda/label/main",
        "file:///srv/chan",
        "../shared/chan",
        "/opt/chan",
        "~/chan",
        "https://host.test/t/chan",
    ]
    assert settings.channels[-1].url == "https://${USER}:${TOKEN}@host.test/t/chan"
    assert "TOKEN" not in repr(settings)


def test_no_fault_shows_a_password(error_lines):
    for channel in ("https://me:s3cret@h/c?x", "htps://me:s3cret@h/c", "me:s3cret@h/c"):
        assert "s3cret" not in "".join(error_lines(settings_of, f'channels = ["{channel}"]'))
