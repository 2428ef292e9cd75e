"""Templates that act on answers. Pure: `pollingtrigger`, `updatenextlink`, `setconnectionstatus…`.

A polling trigger's answer follows the contract of its platform: 202 with a Location when there is nothing,
else the answer itself with a Location, whose query holds the state for the next poll. That the first poll
only sets the state is the poll source's own rule. A next link is led through the connection: to the origin
that was called, so that the login goes along and goes nowhere else (S12). A status that means "not logged in"
becomes 401, the one word that the service has for it.
"""

from typing import Final
from urllib.parse import quote, urljoin, urlsplit

import msgspec
from typing_extensions import override

from actions.expressions import ExpressionError, Template, evaluate, parse_path
from actions.policies.documents import Slot, Unfit, text_of
from actions.policies.fields import put_field, put_header
from actions.policies.messages import Reply
from actions.policies.steps import Step
from actions.templates import Parameters

NEXT: Final = "x-ms-triggerConfig-nextLink"
"""The member of `triggerConfig` whose value is the whole URL of the next poll."""

_URL_SAFE: Final = "%/:@!$&'()*+,;=?~"


class PollingTrigger(Step):
    """Makes the state of the next poll of what came."""

    def __init__(self, title: str, fields: Parameters) -> None:
        super().__init__(title)
        self._data = fields.path("triggerDataPath").steps
        config = fields.config("triggerConfig")
        self._next = next((one for name, one in config.items() if name.lower() == NEXT.lower()), None)
        self._state = {name: one for name, one in config.items() if name and name.lower() != NEXT.lower()}

    @override
    def answer(self, reply: Reply) -> None:
        if not 200 <= reply.status < 300 or reply.empty:
            return
        slot = reply.document().root.below(self._data)
        items = None if slot is None else slot.value()
        here = reply.request.url
        put_header(reply.headers, "location", self._location(here, reply), "override")
        if items is None or items == [] or text_of(items) is None:
            reply.status = 202

    def _location(self, here: str, reply: Reply) -> str:
        if self._next is not None:
            link = _value(self._next, reply)
            return _through(here, link) if link else here
        base, _, query = here.partition("?")
        fields = [field for field in query.split("&") if field]
        for name, template in self._state.items():
            value = _value(template, reply)
            if value is not None:
                put_field(fields, name, value, "override")
        return f"{base}?{'&'.join(fields)}" if fields else base


class NextLink(Step):
    """Leads the link to the next page through the connection."""

    def __init__(self, title: str, fields: Parameters) -> None:
        super().__init__(title)
        self._parent = fields.path("nextLinkParentPath").steps
        self._name = fields.text("nextLinkPropertyName").strip()
        try:
            self._steps = parse_path(self._name).steps
        except ExpressionError:
            self._steps = (self._name,)

    @override
    def answer(self, reply: Reply) -> None:
        if reply.empty or not 200 <= reply.status < 300:
            return
        parent = reply.document().root.below(self._parent)
        slot = None if parent is None else self._place(parent)
        link = None if slot is None else slot.value()
        if slot is None or not isinstance(link, msgspec.Raw) or not bytes(link).startswith(b'"'):
            return
        slot.put(_through(reply.request.url, text_of(link) or ""))
        reply.touched = True

    def _place(self, parent: Slot) -> Slot | None:
        here = parent.value()
        if isinstance(here, dict) and self._name in here:  # a name is a name, whatever dots are in it
            return Slot(here, self._name)
        return parent.below(self._steps)


class Unauthenticated(Step):
    """Says that a status means: log in again."""

    def __init__(self, title: str, fields: Parameters) -> None:
        super().__init__(title)
        self._codes = {int(code) for code in fields.text("statusCode").split(",")}

    @override
    def answer(self, reply: Reply) -> None:
        if reply.status in self._codes and reply.status != 401:
            reply.notes.append(f"{self.title}: {reply.status} means that the login is not valid")
            reply.status = 401


def _value(template: Template, reply: Reply) -> str | None:
    """Return the value of a template; None when it is made of what is not there."""
    parts = [evaluate(part, reply) for part in template]
    return None if any(part is None for part in parts) else "".join(part or "" for part in parts)


def _through(here: str, link: str) -> str:
    """Return the link at the origin that was called."""
    try:
        asked = urlsplit(urljoin(here, link))
        called = urlsplit(here)
    except ValueError as error:
        raise Unfit("the link to the next page is no URL") from error
    query = f"?{quote(asked.query, safe=_URL_SAFE)}" if asked.query else ""
    return f"{called.scheme}://{called.netloc}{quote(asked.path, safe=_URL_SAFE) or '/'}{query}"
