"""No credential reaches the store, a log or an answer: webhooks of every scheme with canaries, then a search."""

import base64
import json
import re
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.end_to_end.instance import SPEC
from tests.end_to_end.shell import pointsman, serving
from tests.patience import PATIENCE
from triggers.presets import PRESETS, sign
from triggers.signatures import Outgoing, Signature

BODY = b'{"type": "t", "event": "push", "total": 1}'
AUTHS = {
    "bearer": {"bearer": {"env": "OUT_BEARER"}},
    "basic": {"basic": {"username": "shop", "password": {"env": "OUT_BASIC"}}},
    "header": {"api_key": {"env": "OUT_HEADER"}, "in": "header", "name": "X-Api-Key"},
    "query": {"api_key": {"env": "OUT_QUERY"}, "in": "query", "name": "api_key"},
    "cookie": {"api_key": {"env": "OUT_COOKIE"}, "in": "cookie", "name": "sid"},
}


class Keys:
    """A fresh secret for every scheme and connection; `planted` is everything that nobody may find."""

    def __init__(self):
        self.environment = {name: self.fresh() for name in ("TOKEN", "PASSWORD", "HMAC", *self.outgoing())}
        self.signing = {}
        for scheme in PRESETS:
            name = scheme.replace("-", "_").upper()
            self.signing[scheme] = self.environment[name] = self.fresh()
        self.signing["standard-webhooks"] = self.environment["STANDARD_WEBHOOKS"] = (
            "whsec_" + base64.b64encode(self.fresh().encode()).decode("ascii")
        )
        private = ec.generate_private_key(ec.SECP256R1())
        self.signing["sendgrid"] = base64.b64encode(
            private.private_bytes(
                serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        ).decode("ascii")
        self.environment["SENDGRID"] = base64.b64encode(
            private.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        ).decode("ascii")
        self.sent_along = [self.fresh() for _ in range(8)]

    @staticmethod
    def fresh():
        return "canary" + secrets.token_hex(16)

    @staticmethod
    def outgoing():
        return [auth[kind]["env"] if kind != "basic" else auth[kind]["password"]["env"]
                for auth in AUTHS.values() for kind in auth if kind in ("bearer", "api_key", "basic")]  # fmt: skip

    def planted(self):
        plain = [*self.environment.values(), *self.sent_along, *self.signing.values()]
        encoded = [
            base64.b64encode(f"{user}:{text}".encode()).decode() for text in plain for user in ("shop", "ada")
        ]
        return {*plain, *encoded}


class Backend(BaseHTTPRequestHandler):
    """Takes every call, and says of one in two that it did not like it."""

    protocol_version = "HTTP/1.1"
    seen: list[str] = []  # noqa: RUF012 - of all requests of one server class

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.seen.append(f"{self.path} {dict(self.headers)}")
        body = b'{"ok": true}'
        self.send_response(201 if len(self.seen) % 2 else 422)
        self.send_header("content-type", "application/json")
        self.send_header("set-cookie", "session=canarysession")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        pass


@pytest.fixture
def backend():
    kind = type("OwnBackend", (Backend,), {"seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", kind.seen
        server.shutdown()
        thread.join()


def configuration(url):
    verify = {
        scheme: {"scheme": scheme, "secrets": [{"env": scheme.replace("-", "_").upper()}]}
        for scheme in PRESETS
    }
    verify |= {
        "hmac": {"scheme": "hmac", "header": "X-Own-Sum", "secrets": [{"env": "HMAC"}]},
        "basic": {"scheme": "basic", "username": "ada", "secrets": [{"env": "PASSWORD"}]},
        "bearer": {"scheme": "bearer", "query": True, "secrets": [{"env": "TOKEN"}]},
        "key-header": {"scheme": "api-key", "header": "X-Own", "secrets": [{"env": "TOKEN"}]},
        "key-query": {"scheme": "api-key", "query": "k", "secrets": [{"env": "TOKEN"}]},
        "open": {"scheme": "none"},
    }
    return {
        "sources": {
            name: {"kind": "webhook", "verify": how, "type": "'t'", "id": "meta.headers['x-id']"}
            for name, how in verify.items()
        },
        "connectors": {"shop": {"spec": "shop.json"}},
        "connections": {
            name: {"connector": "shop", "server": url, "egress": ["127.0.0.1"], "auth": auth}
            for name, auth in AUTHS.items()
        },
        "rules": {
            f"to-{name}": {
                "from": list(verify),
                "do": [{"call": f"{name}.one", "with": {"body": "${data}"}, "on_unknown": "dead"}],
            }
            for name in AUTHS
        },
    }


def requests(keys, url):
    """Every scheme's genuine request, with credentials sent along that nobody asked for."""
    along = dict(zip(
        ("cookie", "x-api-key", "proxy-authorization", "x-auth-token", "x-amz-security-token", "x-session-id"),
        keys.sent_along, strict=False,
    ))  # fmt: skip
    query = f"?access_token={keys.sent_along[6]}&password={keys.sent_along[7]}"
    for scheme in PRESETS:
        if scheme == "twilio":
            continue  # signs the URL with the query: it has a test of its own below
        signed = sign(scheme, keys.signing[scheme], BODY, now=time.time(), id=f"id-{scheme}")
        yield scheme, query, {**along, **signed}
    twilio = f"{url}/hooks/twilio"
    form = {"content-type": "application/x-www-form-urlencoded"}
    yield "twilio", "", {**along, **form, **sign("twilio", keys.signing["twilio"], BODY, now=0, url=twilio)}
    summed = Signature(header="x-own-sum").sign(
        Outgoing(body=BODY, now=0, id="", url="", method="POST"), keys.environment["HMAC"]
    )
    yield "hmac", query, {**along, **summed}
    basic = base64.b64encode(f"ada:{keys.environment['PASSWORD']}".encode()).decode()
    yield "basic", query, {**along, "authorization": f"Basic {basic}"}
    yield "bearer", query, {**along, "authorization": f"Bearer {keys.environment['TOKEN']}"}
    yield "bearer", f"?access_token={keys.environment['TOKEN']}", {**along, "x-id": "in-query"}
    yield "key-header", query, {**along, "x-own": keys.environment["TOKEN"]}
    yield "key-query", f"?k={keys.environment['TOKEN']}", along
    yield "open", query, {**along, "authorization": f"Bearer {keys.sent_along[0]}"}
    yield "github", query, {**along, "x-hub-signature-256": f"sha256={keys.sent_along[1]}"}  # forged


def settled(client, admin):
    """Wait until nothing is under way; return the metrics."""
    deadline = time.monotonic() + PATIENCE
    while True:
        metrics = client.get(f"{admin}/metrics").text
        figures = dict(re.findall(r'^pointsman_deliveries\{state="(\w+)"\} (\S+)$', metrics, re.MULTILINE))
        if not any(float(figures.get(state, 0)) for state in ("pending", "running", "waiting")):
            return metrics
        assert time.monotonic() < deadline, metrics


def test_no_credential_reaches_the_store_a_log_or_an_answer(tmp_path, backend):
    keys, (url, called) = Keys(), backend
    (tmp_path / "shop.json").write_text(json.dumps(SPEC), "utf-8")
    (tmp_path / "pointsman.yaml").write_text(json.dumps(configuration(url)), "utf-8")
    said = ""
    with serving(tmp_path, **keys.environment) as (running, ports):
        hooks = f"http://127.0.0.1:{ports['webhooks']}"
        with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
            statuses = {}
            for source, query, headers in requests(keys, hooks):
                answer = client.post(
                    f"{hooks}/hooks/{source}{query}",
                    content=BODY,
                    headers={"content-type": "application/json", "x-id": secrets.token_hex(4), **headers},
                )
                statuses.setdefault(source, []).append(answer.status_code)
                said += answer.text
            accepted = sum(status in (200, 202) for each in statuses.values() for status in each)
            assert statuses.pop("github") == [202, 401]
            assert {status for each in statuses.values() for status in each} <= {200, 202}, statuses
            bad = client.post(f"{hooks}/hooks/open", content=b"\xff{", headers={"content-type": "application/json",
                              "authorization": f"Bearer {keys.sent_along[0]}"})  # fmt: skip
            assert bad.status_code == 400
            admin, token = (
                f"http://127.0.0.1:{ports['admin']}",
                (tmp_path / "pointsman-data/admin.token").read_text().strip(),
            )
            client.headers["authorization"] = f"Bearer {token}"
            metrics = settled(client, admin)
            said += metrics
            document = client.get(f"{admin}/api/v1/openapi.json").json()
            ids = {
                "message": [one["id"] for one in client.get(f"{admin}/api/v1/messages").json()["items"]],
                "delivery": [one["id"] for one in client.get(f"{admin}/api/v1/deliveries?limit=500").json()["items"]],
                "reject": [one["id"] for one in client.get(f"{admin}/api/v1/rejects").json()["items"]],
                "source": [one["name"] for one in client.get(f"{admin}/api/v1/sources").json()["items"]],
                "connector": ["shop"], "connection": list(AUTHS), "operation": ["one"], "name": ["x"],
            }  # fmt: skip
            assert len(ids["message"]) >= accepted
            assert len(ids["delivery"]) == accepted * len(AUTHS)
            for path, item in document["paths"].items():
                field = next((name for name in ids if "{" + name + "}" in path), None)
                for value in ids[field] if field else [""]:
                    given = {
                        **{name: each[0] for name, each in ids.items()},
                        **({field: value} if field else {}),
                    }
                    if "get" in item:
                        said += client.get(admin + path.format(**given)).text
                    if path.endswith("/call"):
                        body = {"with": {"body": {}}, "dry_run": True}
                        said += client.post(admin + path.format(**given), json=body).text
        for words in (("messages", "show", ids["message"][0]), ("deliveries", "show", ids["delivery"][0])):
            said += pointsman(*words, cwd=tmp_path).stdout
        for name in AUTHS:
            words = ("call", f"{name}.one", "--with", '{"body": {}}')
            said += pointsman(*words, "--dry-run", cwd=tmp_path, **keys.environment).stdout
        wrong = pointsman("check", cwd=tmp_path, **keys.environment)
        said += wrong.stdout + wrong.stderr
        files = {path: path.read_bytes() for path in (tmp_path / "pointsman-data").iterdir()}
        assert running.end() == 0
        said += running.said
    files |= {
        path.with_suffix(".after"): path.read_bytes() for path in (tmp_path / "pointsman-data").iterdir()
    }
    assert len(said) > 100_000
    assert any(BODY in content for content in files.values()), "this is where messages are"
    for secret in keys.planted():
        assert secret not in said, f"{secret} was shown"
        for path, content in files.items():
            assert secret.encode() not in content, f"{secret} is in {path.name}"
    assert "canarysession" not in said
    for name in ("OUT_BEARER", "OUT_HEADER", "OUT_QUERY", "OUT_COOKIE"):
        assert any(keys.environment[name] in one for one in called), f"the backend was given {name}"
