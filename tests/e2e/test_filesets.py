"""Does a fileset survive SIGKILL on its way into being and out of it: made once, and gone at the second call?"""

from pathlib import Path

import pytest

from penstock import failpoints
from penstock.client import Client, ClientOptions
from penstock.errors import ApiUnreachableError
from tests.fixtures.service import WARM, RunningService, init_home, start_service, without_own_bucket


def client_of(service: RunningService) -> Client:
    """One that asks once: a call that got no answer is not repeated by itself."""
    return Client(
        ClientOptions(
            endpoint=service.api,
            access_key_id=service.init["access_key_id"],
            access_key_secret=service.init["access_key_secret"],
        )
    )


def test_a_death_on_the_way_into_being_and_out_of_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    own = {"FileSystemId": init_home(home)["file_system_id"]}
    without_own_bucket(home, movers=1)
    traps = tmp_path / "traps"
    traps.mkdir()
    directory = home / "filesystem" / "set"

    def dies(point: str, action: str, **asked: str) -> None:
        trap = traps / f"{point}.1"
        trap.touch()
        service = start_service(home, environment={failpoints.VARIABLE: str(traps)}, command=WARM)
        with client_of(service) as client, pytest.raises(ApiUnreachableError):
            client.call(action, own | asked)
        service.ended()
        assert not trap.exists()

    asked = {"FileSystemPath": "/set/", "ClientToken": "once"}
    dies("fileset.make", "CreateFileset", **asked)
    assert not directory.exists()
    dies("fileset.made", "CreateFileset", **asked)
    assert directory.is_dir()
    trap = traps / "fileset.removed.1"
    trap.touch()
    service = start_service(home, environment={failpoints.VARIABLE: str(traps)}, command=WARM)
    with client_of(service) as client:
        fset_id = client.call("CreateFileset", own | asked)["FsetId"]
        one = own | {"FsetId": fset_id}
        assert client.call("GetFileset", one)["Data"]["Status"] == "CREATED"
        with pytest.raises(ApiUnreachableError):
            client.call("DeleteFileset", one)
    service.ended()
    assert not directory.exists()
    service = start_service(home, command=WARM)
    with client_of(service) as client:
        client.call("DeleteFileset", one)
        assert client.call("DescribeFilesets", own)["Entries"] == {"Entrie": []}
    service.stop()
