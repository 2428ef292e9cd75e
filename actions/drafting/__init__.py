"""Drafts a description from a sample: a command of curl and, where there is one, what came back.

`words` reads a command line, `curl` what its options mean; `places`, `headers`, `bodies`, `answers` and
`inferring` guess what is an input and of which type; `writing` makes an OpenAPI document of it. Pure: nothing
is sent, nothing is opened. No value of a sample stands in a draft but constant headers, and none that is or
may be a credential (`secrecy`).
"""

from actions.drafting.answers import read_answer
from actions.drafting.curl import read_curl
from actions.drafting.writing import Draft, Taken, draft

__all__ = ["Draft", "Taken", "draft", "read_answer", "read_curl"]
