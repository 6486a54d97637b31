"""May a key do what it asks for, and does the answer keep to itself what exists?"""

import pytest

from penstock.api import rights
from penstock.api.errors import ApiError
from penstock.model import AccessKey


def key(*allow: str, file_systems: tuple[str, ...] = ("*",)) -> AccessKey:
    return AccessKey(access_key_id="k", secret="s", allow=allow, file_systems=file_systems)


@pytest.mark.rule("RAM-1")
@pytest.mark.parametrize(
    ("allow", "may"),
    [
        (("*",), True),
        (("nas:*",), True),
        (("nas:Describe*",), True),
        (("nas:describedataflows",), True),
        (("oss:*", "nas:DescribeDataFlows"), True),
        (("oss:*",), False),
        (("nas:Create*",), False),
        (("DescribeDataFlows",), False),
        ((), False),
    ],
)
def test_actions_are_matched_by_pattern(allow: tuple[str, ...], may: bool) -> None:
    if may:
        rights.check(key(*allow), "DescribeDataFlows", "bmcpfs-1")
        return
    with pytest.raises(ApiError) as refused:
        rights.check(key(*allow), "DescribeDataFlows", "bmcpfs-1")
    assert (refused.value.code, refused.value.http_status) == ("Forbidden.RAM", 403)


@pytest.mark.rule("RAM-2")
def test_file_systems_are_matched_as_they_are_spelled() -> None:
    limited = key("*", file_systems=("bmcpfs-1", "bmcpfs-a*"))
    assert [rights.sees(limited, name) for name in ("bmcpfs-1", "bmcpfs-abc", "bmcpfs-2", "BMCPFS-1")] == [
        True,
        True,
        False,
        False,
    ]
    words = set()
    for action, file_system_id in [("DescribeDataFlows", "bmcpfs-2"), ("DescribeDataFlows", "nowhere")]:
        with pytest.raises(ApiError) as refused:
            rights.check(limited, action, file_system_id)
        words.add(refused.value.message)
    assert len(words) == 1
