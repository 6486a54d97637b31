"""Do filesets do what the ledger says, to the vendor's SDK and on the disk, and is no file ever removed with one?"""

import os
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_nas20170626 import models

from penstock.app.filesets import FilesetKeeper
from penstock.catalog.filesetwork import NewFileset, Quota
from penstock.catalog.verbs import Call
from tests.fixtures.apicaller import FILE_SYSTEM, OLD_FILE_SYSTEM
from tests.fixtures.apiserver import ApiServer

GIB = 1 << 30
OWN = {"FileSystemId": FILE_SYSTEM}


def made(server: ApiServer, path: str, **more: str) -> str:
    return server.make("CreateFileset", "FsetId", OWN | {"FileSystemPath": path} | more)


def got(server: ApiServer, fset_id: str) -> dict[str, Any]:
    response = server.ask("GetFileset", OWN | {"FsetId": fset_id})
    assert response.status == 200, response.text
    found = response.body["Data"]
    assert isinstance(found, dict)
    return found


def listed(server: ApiServer, **more: str) -> list[str]:
    """The paths of a list, in its order."""
    response = server.ask("DescribeFilesets", OWN | more)
    assert response.status == 200, response.text
    return [entry["FileSystemPath"] for entry in response.body["Entries"]["Entrie"]]


def directory(server: ApiServer, path: str) -> Path:
    return server.home / "root" / path.strip("/")


def keeper(server: ApiServer, ahead_ns: int = 0) -> FilesetKeeper:
    return FilesetKeeper(server.catalog, registry=lambda: server.registry, now_ns=lambda: server.now_ns() + ahead_ns)


@pytest.mark.rule("FSET-1")
@pytest.mark.rule("FSET-5")
def test_the_sdk_leads_a_fileset_through_its_life(server: ApiServer) -> None:
    sdk = server.sdk()
    asked = models.CreateFilesetRequest(
        file_system_id=FILE_SYSTEM,
        file_system_path="/data/set/",
        description="of a team",
        quota=models.CreateFilesetRequestQuota(size_limit=11 * GIB, file_count_limit=10_000),
    )
    fset_id = sdk.create_fileset(asked).body.fset_id
    assert len(fset_id) == len("fset-") + 16
    assert directory(server, "/data/set/").is_dir()
    one = models.GetFilesetRequest(file_system_id=FILE_SYSTEM, fset_id=fset_id)
    found = sdk.get_fileset(one).body.data
    assert (found.status, found.file_system_path, found.description) == ("CREATED", "/data/set/", "of a team")
    assert (found.quota.size_limit, found.quota.file_count_limit) == (11 * GIB, 10_000)
    assert (found.space_usage, found.file_count_usage, found.deletion_protection) == (0, 0, False)
    own = {"file_system_id": FILE_SYSTEM, "fset_id": fset_id}
    sdk.set_fileset_quota(models.SetFilesetQuotaRequest(**own, size_limit=10 * GIB))
    assert got(server, fset_id)["Quota"] == {"SizeLimit": 10 * GIB}
    sdk.cancel_fileset_quota(models.CancelFilesetQuotaRequest(**own))
    sdk.modify_fileset(models.ModifyFilesetRequest(**own, description="of nobody", deletion_protection=True))
    found = sdk.describe_filesets(models.DescribeFilesetsRequest(file_system_id=FILE_SYSTEM)).body.entries.entrie[0]
    assert (found.description, found.deletion_protection, found.quota.size_limit) == ("of nobody", True, None)
    sdk.modify_fileset(models.ModifyFilesetRequest(**own, deletion_protection=False))
    assert got(server, fset_id)["Description"] == "of nobody"
    sdk.delete_fileset(models.DeleteFilesetRequest(**own))
    assert listed(server) == []
    assert not directory(server, "/data/set/").exists()
    assert made(server, "/data/set/") != fset_id


@pytest.mark.rule("FSET-1")
def test_a_repeated_call_and_a_rehearsal_make_nothing_more(server: ApiServer) -> None:
    assert made(server, "/data/a/", DryRun="true") == ""
    assert not directory(server, "/data/a/").exists()
    first = made(server, "/data/a/", ClientToken="once")
    assert made(server, "/data/a/", ClientToken="once") == first
    one = OWN | {"FsetId": first}
    server.make("DeleteFileset", "RequestId", one | {"DryRun": "true"})
    assert directory(server, "/data/a/").is_dir()
    for _ in range(2):
        server.make("DeleteFileset", "RequestId", one | {"ClientToken": "gone"})
    assert made(server, "/data/a/", ClientToken="once") == first  # a token stands for its first answer
    assert listed(server) == []
    older = server.ask("DescribeFilesets", {"FileSystemId": OLD_FILE_SYSTEM})
    assert older.code == "InvalidFilesystemVersion.NotSupport"


@pytest.mark.rule("FSET-1")
def test_what_a_death_has_left_unmade_is_made_or_withdrawn(server: ApiServer) -> None:
    def begun(path: str, token: str) -> str:
        new = NewFileset(
            file_system_id=FILE_SYSTEM, file_system_path=path, description="", deletion_protection=False, quota=Quota()
        )
        call = Call(access_key_id="key", action="CreateFileset", client_token=token, fingerprint=path)
        return server.run(lambda: server.catalog.filesets.create(call, new))

    unmade, made_untold, lost = begun("/data/a/", "a"), begun("/data/b/", "b"), begun("/none/c/", "c")
    directory(server, "/data/b/").mkdir()
    assert got(server, unmade)["Status"] == "CREATING"
    kept = keeper(server)
    while server.run(kept.step):
        continue
    assert got(server, unmade)["Status"] == got(server, made_untold)["Status"] == "CREATED"
    assert directory(server, "/data/a/").is_dir()
    assert server.ask("GetFileset", OWN | {"FsetId": lost}).code == "InvalidFsetId.NotFound"
    directory(server, "/none/").mkdir()
    assert begun("/none/c/", "c") not in ("", lost), "the token of what never was would stand in its way"


@pytest.mark.rule("FSET-3")
@pytest.mark.code("CreateFileset", "OperationDenied.TooManyFilesets")
def test_there_are_so_many_and_no_more(server: ApiServer) -> None:
    object.__setattr__(server.options, "filesets_max", 2)
    first = made(server, "/data/1/")
    made(server, "/data/2/")
    refused = server.ask("CreateFileset", OWN | {"FileSystemPath": "/data/3/"})
    assert (refused.status, refused.code) == (403, "OperationDenied.TooManyFilesets")
    assert not directory(server, "/data/3/").exists()
    server.make("DeleteFileset", "RequestId", OWN | {"FsetId": first})
    made(server, "/data/3/")


@pytest.mark.rule("FSET-2")
@pytest.mark.rule("FSET-4")
@pytest.mark.code("DeleteFileset", "OperationDenied.DependencyViolation")
def test_no_file_is_removed_with_a_fileset_and_no_dataflow_loses_its_directory(server: ApiServer) -> None:
    fset_id = made(server, "/data/set/")
    one = OWN | {"FsetId": fset_id}
    file = directory(server, "/data/set/") / "file"
    file.write_bytes(b"precious")
    for rehearsed in ({}, {"DryRun": "true"}):
        assert server.ask("DeleteFileset", one | rehearsed).code == "OperationDenied.DependencyViolation"
    assert file.read_bytes() == b"precious"
    file.unlink()
    flow = server.make_flow(FileSystemPath="/data/set/")
    assert server.ask("DeleteFileset", one).code == "OperationDenied.DependencyViolation"
    assert directory(server, "/data/set/").is_dir()
    server.make("DeleteDataFlow", "RequestId", OWN | {"DataFlowId": flow})
    directory(server, "/data/set/").rmdir()
    os.symlink("..", directory(server, "/data/set/"))  # somebody's own, in its place
    server.make("DeleteFileset", "RequestId", one)
    assert directory(server, "/data/set/").is_symlink()


@pytest.mark.rule("FSET-7")
@pytest.mark.code("DescribeFilesets", "InvalidFilterParam")
def test_lists_are_filtered_ordered_and_paged(server: ApiServer) -> None:
    for number in range(12):
        quota = {"Quota.SizeLimit": str((10 + number % 3) * GIB)} if number % 2 else {}
        made(server, f"/data/{number:02}/", Description=f"number {number}", **quota)
    assert listed(server, MaxResults="10") == [f"/data/{number:02}/" for number in range(11, 1, -1)]
    pages: list[str] = []
    token: dict[str, str] = {}
    order = {"OrderByField": "SizeLimit", "MaxResults": "10"}
    while True:
        body = server.ask("DescribeFilesets", OWN | order | token).body
        pages += [entry["FileSystemPath"] for entry in body["Entries"]["Entrie"]]
        if "NextToken" not in body:
            break
        token = {"NextToken": body["NextToken"]}
    assert len(set(pages)) == 12
    assert set(pages[:2]) == {"/data/05/", "/data/11/"}
    assert listed(server, **order, SortOrder="asc")[0] in {f"/data/{number:02}/" for number in range(0, 12, 2)}
    quotas = {"Filters.1.Key": "QuotaExists", "Filters.1.Value": "true"}
    assert len(listed(server, **quotas)) == 6
    both = quotas | {"Filters.2.Key": "FileSystemPath", "Filters.2.Value": "1/"}
    assert listed(server, **both) == ["/data/11/", "/data/01/"]
    words = {"Filters.1.Key": "Description", "Filters.1.Value": "number 7"}
    assert listed(server, **words) == ["/data/07/"]
    six = {f"Filters.{number}.Key": "QuotaExists" for number in range(1, 7)}
    assert server.ask("DescribeFilesets", OWN | six).code == "InvalidFilterParam"


@pytest.mark.rule("FSET-5")
@pytest.mark.rule("FSET-6")
def test_what_is_in_one_is_counted(server: ApiServer) -> None:
    fset_id = made(server, "/data/set/")
    inner = directory(server, "/data/set/") / "inner"
    inner.mkdir()
    (inner / "file").write_bytes(b"x" * 1000)
    os.link(inner / "file", inner / "again")
    os.symlink("/etc/passwd", inner / "link")
    assert not server.run(keeper(server).step), "it was counted when it was made"
    later = keeper(server, 1000 * 1_000_000_000)
    assert server.run(later.step)
    found = got(server, fset_id)
    assert (found["SpaceUsage"], found["FileCountUsage"]) == (1000, 4)
    (server.home / "root").rename(server.home / "away")
    assert server.run(later.step)
    assert not {"SpaceUsage", "FileCountUsage"} & set(got(server, fset_id))
    refused = server.ask("SetFilesetQuota", OWN | {"FsetId": fset_id})
    assert refused.code == "InvalidParameter.InvalidFormat"
