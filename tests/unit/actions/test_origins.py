"""What a connection says about an origin that it cannot call."""

import pytest

from actions.errors import Refused
from actions.origins import make_origins
from tests.tables import every_row


@every_row("url", ["http://user:hunter2@api.test/x", "http://a@hunter2@api.test", "http://:hunter2@"])
def test_a_password_in_a_url_is_not_told_again(url):
    with pytest.raises(Refused) as caught:
        make_origins("shop").at(url)
    assert "hunter2" not in str(caught.value)
    assert "shop" in str(caught.value)
