"""What is known of providers, as data: how they sign, and where id, type, subject and time are found.

The templates are those of `triggers.templates`. Adding a provider is one more entry. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from triggers.credentials import ApiKey
from triggers.keys import BadSecret
from triggers.signatures import Outgoing, Scheme, Signature, TwilioSignature


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """One provider. Templates are tried in order; the first that has a value counts."""

    schemes: tuple[Scheme, ...]
    id: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    time: tuple[str, ...] = ()
    handshake: Literal["", "slack"] = ""
    content_type: str = ""  # of the answer, where an empty body of this type is expected instead of ours
    answer: bytes = b""


FALLBACK_TYPE: Final = "webhook"
"""The type of a message that says nothing of its own."""

GENERIC: Final = Preset(schemes=(), id=("{header.idempotency-key|unquoted}",))
"""What is known of a sender that nobody knows: an Idempotency-Key is an id."""

GITHUB_SHA1: Final = Signature(header="x-hub-signature", prefix="sha1=", algorithm="sha1")
"""What GitHub sends beside SHA-256, and old GitHub Enterprise Servers alone."""

_REPOSITORY: Final = ("{data.repository.full_name}",)

PRESETS: Final[Mapping[str, Preset]] = {
    "github": Preset(
        schemes=(Signature(header="x-hub-signature-256", prefix="sha256="),),
        id=("{header.x-github-delivery}",),
        type=("com.github.{header.x-github-event}[.{data.action}]", "com.github"),
        subject=(
            *_REPOSITORY,
            "{data.organization.login}",
            "{data.installation.account.login}",
            "{data.sender.login}",
        ),
    ),
    "gitlab": Preset(
        schemes=(ApiKey(header="x-gitlab-token"),),
        # X-Gitlab-Event-UUID is the same for all that one event sets off: only second choice.
        id=("{header.idempotency-key|unquoted}", "{header.x-gitlab-event-uuid}"),
        type=(
            "com.gitlab.note[.{data.object_attributes.noteable_type|snake}]{?data.object_attributes.note}",
            "com.gitlab.pipeline.{data.object_attributes.status}{?data.object_attributes.stages}",
            "com.gitlab.job.{data.build_status}{?data.build_id}",
            "com.gitlab.{data.object_kind}[.{data.object_attributes.action}]",
            "com.gitlab.{data.event_name}",
            "com.gitlab",
        ),
        subject=("{data.project.path_with_namespace}", "{data.path_with_namespace}", "{data.full_path}"),
    ),
    "gitea": Preset(
        schemes=(Signature(header="x-gitea-signature"),),
        id=("{header.x-gitea-delivery}",),
        type=("com.gitea.{header.x-gitea-event}[.{data.action}]", "com.gitea"),
        subject=_REPOSITORY,
    ),
    "gogs": Preset(
        schemes=(Signature(header="x-gogs-signature"),),
        id=("{header.x-gogs-delivery}",),
        type=("io.gogs.{header.x-gogs-event}[.{data.action}]", "io.gogs"),
        subject=_REPOSITORY,
    ),
    "bitbucket": Preset(
        schemes=(Signature(header="x-hub-signature", prefix="sha256="),),
        # The cloud's and the server's name for it. X-Hook-UUID names the hook, not the delivery.
        id=("{header.x-request-uuid}", "{header.x-request-id}"),
        type=(
            "org.bitbucket.{header.x-event-key|dots}",
            "org.bitbucket.{data.eventKey|dots}",
            "org.bitbucket",
        ),
        subject=(
            *_REPOSITORY,
            "{data.repository.project.key}/{data.repository.slug}",
            "{data.pullRequest.toRef.repository.project.key}/{data.pullRequest.toRef.repository.slug}",
        ),
    ),
    "stripe": Preset(
        schemes=(
            Signature(
                header="stripe-signature",
                separator=",",
                prefix="v1=",
                timestamp_prefix="t=",
                signed="{timestamp}.{body}",
            ),
        ),
        id=("{data.id}",),
        type=("com.stripe.{data.type}", "com.stripe"),
        subject=("{data.data.object.id}", "{data.related_object.id}"),
        time=("{data.created|instant}",),
    ),
    "slack": Preset(
        schemes=(
            Signature(
                header="x-slack-signature",
                prefix="v0=",
                timestamp_header="x-slack-request-timestamp",
                signed="v0:{timestamp}:{body}",
            ),
        ),
        id=("{data.event_id}", "{data.trigger_id}"),
        type=(
            "com.slack.{data.event.type}",
            "com.slack.{data.type}",
            "com.slack.command{?data.command}",
            "com.slack.interaction{?data.payload}",
            "com.slack",
        ),
        subject=("{data.team_id}", "{data.team.id}"),
        time=("{data.event_time|instant}",),
        handshake="slack",
    ),
    "shopify": Preset(
        schemes=(Signature(header="x-shopify-hmac-sha256", encoding="base64"),),
        # X-Shopify-Event-Id is shared by all topics that one action of a merchant sets off.
        id=("{header.x-shopify-webhook-id}", "{header.x-shopify-event-id}/{header.x-shopify-topic}"),
        type=("com.shopify.{header.x-shopify-topic|dots}", "com.shopify"),
        subject=("{header.x-shopify-shop-domain}",),
        time=("{header.x-shopify-triggered-at|instant}",),
    ),
    "twilio": Preset(
        schemes=(TwilioSignature(),),
        id=("{header.i-twilio-idempotency-token}",),
        type=(
            "com.twilio.message[.{data.MessageStatus}]{?data.MessageSid}",
            "com.twilio.call[.{data.CallStatus}]{?data.CallSid}",
            "com.twilio",
        ),
        subject=("{data.MessageSid}", "{data.CallSid}"),
        content_type="text/xml",
        answer=b"<Response/>",
    ),
    "sendgrid": Preset(
        schemes=(
            Signature(
                header="x-twilio-email-event-webhook-signature",
                timestamp_header="x-twilio-email-event-webhook-timestamp",
                signed="{timestamp}{body}",
                algorithm="ecdsa-p256",
                encoding="base64",
            ),
        ),
        type=("com.sendgrid.events",),
    ),
    "standard-webhooks": Preset(
        schemes=(
            Signature(
                header="webhook-signature",
                separator=" ",
                prefix="v1,",
                timestamp_header="webhook-timestamp",
                id_header="webhook-id",
                signed="{id}.{timestamp}.{body}",
                encoding="base64",
                key_form="whsec",
            ),
            Signature(
                header="webhook-signature",
                separator=" ",
                prefix="v1a,",
                timestamp_header="webhook-timestamp",
                id_header="webhook-id",
                signed="{id}.{timestamp}.{body}",
                algorithm="ed25519",
                encoding="base64",
            ),
        ),
        id=("{header.webhook-id}",),
        type=("{data.type}",),
        time=("{data.timestamp|instant}",),
    ),
}
"""Providers by the name that `verify.scheme` takes."""


def sign(
    scheme: str | Sequence[Scheme],
    secret: str,
    body: bytes,
    *,
    now: float,
    id: str = "",  # noqa: A002 - the attribute's own name
    url: str = "",
    method: str = "POST",
) -> dict[str, str]:
    """Return the headers that make a request genuine: by a provider's name, or by schemes.

    The first scheme that the secret fits is taken; for public keys the secret is the private one. Twilio
    signs a body that is no form only through its URL (`signatures.with_body_hash`). Raise BadSecret when the
    secret fits none, KeyError when there is no such provider.
    """
    schemes = PRESETS[scheme].schemes if isinstance(scheme, str) else scheme
    outgoing = Outgoing(body=body, now=int(now), id=id, url=url, method=method)
    problem = BadSecret("there is no scheme")
    for candidate in schemes:
        try:
            return candidate.sign(outgoing, secret)
        except BadSecret as error:
            problem = error
    raise problem
