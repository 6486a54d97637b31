"""Does the vendor's older SDK work, and does it recognise its wrong secret?"""

import pytest
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import RpcRequest

from penstock.api.protocol import VERSION
from tests.fixtures.apicaller import FILE_SYSTEM, OWNER
from tests.fixtures.apiserver import ApiServer


def client(server: ApiServer, secret: str = OWNER.secret) -> AcsClient:
    return AcsClient(OWNER.access_key_id, secret, "cn-hangzhou", auto_retry=False, port=server.port)


def request(action: str, query: dict[str, str], form: dict[str, str]) -> RpcRequest:
    """As the generated classes of that SDK make it; Terraform and others send parameters in the form."""
    made = RpcRequest("NAS", VERSION, action)
    made.set_method("POST")
    made.set_endpoint("127.0.0.1")
    made.set_protocol_type("http")
    for name, value in query.items():
        made.add_query_param(name, value)
    for name, value in form.items():
        made.add_body_params(name, value)
    return made


QUESTION = {"FileSystemId": FILE_SYSTEM, "Filters.1.Key": "Description", "Filters.1.Value": "a b*~/"}


@pytest.mark.rule("SIG-2")
@pytest.mark.parametrize("form", [{}, {"FileSystemPath": "/data/", "Description": "a b"}])
def test_it_creates_and_describes(server: ApiServer, form: dict[str, str]) -> None:
    query = {
        "FileSystemId": FILE_SYSTEM,
        "FileSystemPath": "/data/",
        "SourceStorage": "oss://examplebucket",
        "SourceStoragePath": "/prefix/",
    }
    query = {name: value for name, value in query.items() if name not in form}
    assert b"df-" in client(server).do_action_with_exception(request("CreateDataFlow", query, form))
    answer = client(server).do_action_with_exception(request("DescribeDataFlows", QUESTION, {}))
    assert b'"DataFlow":[]' in answer


@pytest.mark.rule("SIG-6")
def test_it_finds_our_string_to_sign_equal_to_its_own(shared: ApiServer) -> None:
    with pytest.raises(ServerException) as refused:
        client(shared, "wrong").do_action_with_exception(request("DescribeDataFlows", QUESTION, {}))
    # it says so only when the text after the first colon is what it has signed
    assert refused.value.get_error_code() == "InvalidAccessKeySecret"
