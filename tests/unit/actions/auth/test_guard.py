import pytest

from actions.auth import clear_problem, guarded
from actions.base import Answer
from actions.egress import read_egress
from actions.errors import Refused
from actions.transport import Request
from tests.tables import every_row


@every_row(
    ("url", "egress", "allowed"),
    [
        ("https://login.example/t", "public", True),
        ("http://login.example/t", "public", False),
        ("http://127.0.0.1:9/t", "public", True),
        ("http://[::1]:9/t", "public", True),
        ("http://localhost/t", "public", True),
        ("http://localhost.example/t", "public", False),
        ("http://127.0.0.1.example/t", "public", False),
        ("http://login.example/t", ["login.example"], True),
        ("http://login.example:81/t", ["login.example:80"], False),
        ("http://login.example/t", ["10.0.0.0/8"], False),
        ("http://10.1.2.3/t", ["10.0.0.0/8"], True),
        ("http://10.1.2.3:81/t", ["10.0.0.0/8:80"], False),
        ("http://10.1.2.3/t", "public", False),
        ("ftp://login.example/t", ["login.example"], False),
        ("http://user@127.0.0.1/t", "public", False),
        ("http://127.1/t", "public", False),
        ("", "public", False),
    ],
)
async def test_secrets_go_over_tls_or_stay_on_this_machine(url, egress, allowed):
    policy = read_egress(egress)
    assert (clear_problem(url, policy) == "") is allowed
    sent = []

    async def fetch(request, deadline):
        sent.append(request)
        return Answer(status=200)

    if allowed:
        assert (await guarded(fetch, policy)(Request("GET", url), 1)).status == 200
    else:
        with pytest.raises(Refused):
            await guarded(fetch, policy)(Request("GET", url), 1)
    assert bool(sent) is allowed
