"""What a connection's calls carry is in nothing that people read."""

import base64
from urllib.parse import quote, quote_plus

from actions.base import Answer
from actions.hiding import LOOKED_AT, hidden, without_secrets
from tests.tables import every_row

SECRET = 'a/b+c "d" ü='


@every_row(
    "said",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        SECRET.replace('"', '\\"'),
        SECRET.replace('"', '\\"').replace("/", "\\/"),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(SECRET.encode()).decode().rstrip("="),
    ],
)
def test_a_secret_is_hidden_however_it_is_repeated(said):
    assert hidden(f"got <{said}>.", (SECRET,)) == "got <***>."
    answer = Answer(status=400, headers=(("location", f"/?key={said}"),), body=f"got {said}, {said}".encode())
    shown = without_secrets(answer, ("other", SECRET))
    assert (shown.headers, shown.body) == ((("location", "/?key=***"),), b"got ***, ***")
    assert (shown.status, shown.truncated) == (400, False)


def test_what_holds_no_secret_is_left_as_it_is():
    answer = Answer(status=200, headers=(("a", "b"),), body=b"\xff\x00 fine")
    assert without_secrets(answer, ()) is answer
    assert without_secrets(answer, (SECRET,)) == answer


def test_a_word_too_short_to_be_a_secret_garbles_nothing():
    assert hidden("the cat sat", ("at", "")) == "the cat sat"


def test_no_more_of_a_body_is_shown_than_was_looked_at():
    shown = without_secrets(Answer(status=200, body=b"x" * (LOOKED_AT + 1)), (SECRET,))
    assert (len(shown.body), shown.truncated) == (LOOKED_AT, True)


def test_half_a_surrogate_pair_in_a_secret_harms_nothing():
    assert hidden("fine", ("abc\udc80def",)) == "fine"
