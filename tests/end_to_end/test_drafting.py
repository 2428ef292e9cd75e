"""From commands of curl to a description whose every operation can be called over a socket."""

import json
from pathlib import Path

from service.cli.output import yaml_text
from service.usecases.drafting import drafted, read_draft
from tests.end_to_end.shell import pointsman

COMMANDS = (
    "curl 'https://api.example/v1/orders?page=2&tag=a&tag=b&flag' -H 'X-Version: 2.10' -H 'Accept: application/vnd.shop+json'",
    "curl -u me:pw https://api.example/v1/orders/17/lines/8c5f6f0a-0000-4000-8000-00000000000a",
    "curl --json '{\"note\": null, \"lines\": [{\"sku\": \"a\", \"n\": 1}, {\"sku\": \"b\"}]}' https://api.example/v1/orders",
    "curl -X PATCH -H 'Content-Type: application/merge-patch+json' -d '{}' https://api.example/v1/orders/17",
    "curl -d 'a=1&b=x y&c[]=1' -d 'at=2024-01-31' https://api.example/v1/forms",
    "curl -F 'file=@a.png;type=image/png' -F 'meta={\"a\": 1};type=application/json' -F n=5 -F t=1 -F t=2 https://api.example/v1/files",
    "curl -T a.bin https://api.example/v1/files/a.bin",
    "curl -H 'Content-Type: text/plain; charset=utf-8' --data-binary hello https://api.example/v1/texts",
    "curl -H 'Content-Type: text/xml' -d '<?xml version=\"1.0\"?><order n=\"1\"><sku>a</sku></order>' https://api.example/v1/xml",
    "curl -I -b 'a=1; b=2' https://api.example/v1/up",
    "curl -G --data-urlencode 'q=a b&c' -d access_token=t https://api.example/v1/search",
    'curl ^"https://api.example/v1/cmd^" ^\n  -X ^"PUT^" ^\n  -H ^"content-type: application/json^" ^\n  --data-raw ^"^{^\\^"id^\\^":1^}^"',
    "curl -X DELETE -H 'Authorization: Bearer $TOKEN' -H 'If-Match: \"a\"' https://other.example/v2/things/{thing}",
    "curl https://hooks.example/services/T00000000/B00000000/abcdEFGHijkl0123456789 -d '{\"text\": \"hi\"}'",
)  # fmt: skip


def test_everything_that_was_drafted_can_be_called(tmp_path: Path) -> None:
    first, *others = COMMANDS
    made = pointsman("connectors", "draft", "--curl", first, "--answer", '[{"id": 1}]', cwd=tmp_path)
    assert made.returncode == 0, made
    document, _ = read_draft("api.yaml", made.stdout.encode(), yaml_text)
    for command in others[:-1]:
        document = drafted(command, into=document).document
    (tmp_path / "api.yaml").write_text(yaml_text(document), "utf-8")
    last = pointsman("connectors", "draft", "--curl", others[-1], "--into", "api.yaml", cwd=tmp_path)
    assert last.returncode == 0, last
    read = json.loads(pointsman("connectors", "read", "api.yaml", "-o", "jsonl", cwd=tmp_path).stdout)
    assert (read["findings"], {one["status"] for one in read["operations"]}) == ([], {"ok"})
    ran = pointsman("connectors", "exercise", "api.yaml", "-o", "jsonl", cwd=tmp_path)
    called = json.loads(ran.stdout.splitlines()[0])
    assert ran.returncode == 0, called
    assert len(read["operations"]) == len(COMMANDS)
