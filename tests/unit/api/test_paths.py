"""Where does a sub-task's path point, and which paths are refused?"""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.api import paths
from penstock.api.errors import ApiError
from penstock.api.options import PathBase
from penstock.api.paths import Ground

WALKTHROUGH = [
    ("/bmcpfs/", "/test/", "/file.xml", "/bmcpfs/test/file.xml"),
    ("/oss/", "/mnt/", "/mnt/file.xml", "/oss/mnt/file.xml"),
    ("/oss_test/", "/yaml/", "/test/file.png", "/oss_test/yaml/test/file.png"),
    ("/bmcpfs_test/", "/dataflows/", "/mnt/file.png", "/bmcpfs_test/dataflows/mnt/file.png"),
]


def read(
    path: str, root: str = "/data/", directory: str = "/mnt/", base: PathBase = PathBase.WALKTHROUGH
) -> tuple[str, str]:
    return Ground(root=root, directory=directory, base=base).read(path)


@pytest.mark.rule("SUB-PATH-1")
@pytest.mark.parametrize(("root", "directory", "asked", "answered"), WALKTHROUGH)
def test_the_published_rows_come_out(root: str, directory: str, asked: str, answered: str) -> None:
    assert read(asked, root, directory)[0] == answered


@pytest.mark.rule("SUB-PATH-1")
@pytest.mark.parametrize(
    ("asked", "answered", "rival"),
    [
        ("/mnt", "/data/mnt/mnt", ""),
        ("/mnt2/x", "/data/mnt/mnt2/x", ""),
        ("/mnt/x", "/data/mnt/x", "/data/mnt/mnt/x"),
        ("/mnt/mnt/x", "/data/mnt/mnt/x", "/data/mnt/mnt/mnt/x"),
        ("/x", "/data/mnt/x", ""),
    ],
)
def test_only_what_lies_under_the_directory_is_relative_to_the_dataflow(asked: str, answered: str, rival: str) -> None:
    assert read(asked) == (answered, rival)


@pytest.mark.rule("SUB-PATH-2")
def test_relative_to_the_task_alone_has_one_meaning() -> None:
    assert read("/mnt/x", base=PathBase.TASK) == ("/data/mnt/mnt/x", "")


@pytest.mark.rule("SUB-PATH-3")
@pytest.mark.parametrize("base", PathBase)
@pytest.mark.parametrize("root", ["/", "/data/"])
def test_the_root_directory_makes_both_readings_one(base: PathBase, root: str) -> None:
    assert read("/a/b", root, "/", base) == (f"{root}a/b", "")


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..") and not name.startswith(".penstock-")
)
FILES = st.lists(NAMES, min_size=1, max_size=4).map(lambda names: "/" + "/".join(names))
DIRECTORIES = st.lists(NAMES, max_size=3).map(lambda names: "/" + "".join(f"{name}/" for name in names))


@pytest.mark.rule("SUB-PATH-1")
@given(path=FILES, root=DIRECTORIES, directory=DIRECTORIES)
def test_every_sound_path_stays_in_the_dataflow_and_in_the_task(path: str, root: str, directory: str) -> None:
    assert paths.check_file_path("SrcFilePath", path) == path
    found, rival = read(path, root, directory)
    inside = root[:-1] + directory
    assert found.startswith(inside)
    assert found.endswith(path.removeprefix(directory[:-1]) if rival else path)
    assert "//" not in found
    assert rival in ("", f"{inside[:-1]}{path}")
    # directory + path, which our own clients always send, means this file and no other
    assert read(f"{directory[:-1]}{path}", root, directory)[0] == f"{inside[:-1]}{path}"


@pytest.mark.rule("PATH-1")
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/a/../b", "IllegalCharacters"),
        ("/..", "IllegalCharacters"),
        ("/../a", "IllegalCharacters"),
        ("/a/..", "IllegalCharacters"),
        ("/./a", "IllegalCharacters"),
        ("/.", "IllegalCharacters"),
        ("/a//b", "IllegalCharacters"),
        ("//a", "IllegalCharacters"),
        ("/a\0b", "IllegalCharacters"),
        ("/a\nb", "IllegalCharacters"),
        ("/a\n", "IllegalCharacters"),
        ("/a\x7fb", "IllegalCharacters"),
        ("/a\x85b", "IllegalCharacters"),
        ("a", "InvalidParameter.InvalidFormat"),
        ("a/b", "InvalidParameter.InvalidFormat"),
        ("/", "InvalidParameter.InvalidFormat"),
        ("/a/", "InvalidParameter.InvalidFormat"),
        ("/" + "a" * 1023, "InvalidParameter.InvalidFormat"),
        ("/.penstock-0123.partial", "InvalidParameter.InvalidFormat"),
        ("/a/.penstock-x/b", "InvalidParameter.InvalidFormat"),
    ],
)
def test_unsound_file_paths_are_refused(path: str, code: str) -> None:
    with pytest.raises(ApiError) as refused:
        paths.check_file_path("SrcFilePath", path)
    assert refused.value.code == code
    assert "SrcFilePath" in refused.value.message


@pytest.mark.rule("PATH-1")
@pytest.mark.parametrize("path", ["/...", "/.a", "/a..", "/a b/ü/#", "/" + "a" * 1022, "/a.penstock-b", "/a\\b"])
def test_sound_file_paths_pass(path: str) -> None:
    assert paths.check_file_path("SrcFilePath", path) == path


@pytest.mark.rule("PATH-2")
@pytest.mark.parametrize(("path", "sound"), [("/", True), ("/a/", True), ("/a/b/", True), ("/a", False), ("a/", False)])
def test_directories_begin_and_end_with_a_slash(path: str, sound: bool) -> None:
    if sound:
        assert paths.check_directory("Directory", path) == path
        return
    with pytest.raises(ApiError) as refused:
        paths.check_directory("Directory", path)
    assert refused.value.code == "InvalidParameter.InvalidFormat"


@pytest.mark.rule("PATH-2")
@pytest.mark.parametrize("path", ["/../", "/a/../", "/a/./", "//", "/a//", "/\x01/"])
def test_directories_hold_no_way_out(path: str) -> None:
    with pytest.raises(ApiError) as refused:
        paths.check_directory("Directory", path)
    assert refused.value.code == "IllegalCharacters"


@pytest.mark.rule("PATH-3")
def test_what_cannot_exist_is_refused_by_its_full_path() -> None:
    paths.check_key("SrcFilePath", "/" + "é" * 511)
    paths.check_file_name("DstFilePath", "/" + "n" * 255)
    for check, path in [
        (paths.check_key, "/" + "é" * 512),
        (paths.check_file_name, "/" + "é" * 128),
        (paths.check_file_name, "/a" * 512),
    ]:
        with pytest.raises(ApiError) as refused:
            check("DstFilePath", path)
        assert refused.value.code == "InvalidParameter.InvalidFormat"


@given(st.text(max_size=40))
def test_any_text_is_judged_with_one_of_two_codes(text: str) -> None:
    assert {code_of(check, text) for check in (paths.check_file_path, paths.check_directory)} <= {
        "",
        "IllegalCharacters",
        "InvalidParameter.InvalidFormat",
    }


def code_of(check: Callable[[str, str], str], text: str) -> str:
    try:
        check("Directory", text)
    except ApiError as refused:
        return refused.code
    return ""
