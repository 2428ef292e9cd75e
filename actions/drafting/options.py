"""The options of curl that change nothing of what is asked for, and those that cannot be described."""

from collections.abc import Mapping
from typing import Final

_PLAIN_WORDS: Final = """
    -: -0 -# -4 -6 -a -f -g -i -j -k -L -n -N -O -p -q -R -s -S -v -Z
    --anyauth --append --basic --ca-native --compressed --crlf --disable --fail --fail-early --fail-with-body
    --globoff --http0.9 --http1.0 --http1.1 --http2 --http2-prior-knowledge --http3 --http3-only --include
    --insecure --ipv4 --ipv6 --junk-session-cookies --location --location-trusted --netrc --netrc-optional
    --no-alpn --no-buffer --no-keepalive --no-progress-meter --no-sessionid --parallel --path-as-is --post301
    --post302 --post303 --progress-bar --proxy-insecure --proxytunnel --raw --remote-header-name --remote-name
    --remote-time --show-error --show-headers --silent --ssl --ssl-reqd --styled-output
    --suppress-connect-headers --tcp-fastopen --tcp-nodelay --tlsv1 --tlsv1.0 --tlsv1.1 --tlsv1.2 --tlsv1.3
    --tr-encoding --trace-time --verbose
"""
PLAIN: Final = frozenset(_PLAIN_WORDS.split())
"""Options without a value that change nothing of what a description says."""

_VALUED_WORDS: Final = """
    -c -C -D -m -o -P -r -t -U -w -x -y -Y -z
    --cacert --capath --ciphers --connect-timeout --connect-to --cookie-jar --crlfile --curves --dns-servers
    --doh-url --dump-header --expect100-timeout --interface --keepalive-time --limit-rate --local-port
    --max-filesize --max-redirs --max-time --noproxy --output --output-dir --pinnedpubkey --preproxy --proto
    --proto-default --proto-redir --proxy --proxy-cacert --proxy-cert --proxy-header --proxy-key --proxy-user
    --rate --resolve --retry --retry-delay --retry-max-time --socks5 --socks5-hostname --speed-limit
    --speed-time --stderr --time-cond --tls-max --tls13-ciphers --trace --trace-ascii --unix-socket
    --write-out
"""
VALUED: Final = frozenset(_VALUED_WORDS.split())
"""Options with a value, as far as they change nothing of what a description says."""

SHORT: Final[Mapping[str, str]] = {
    "-X": "--request", "-H": "--header", "-d": "--data", "-F": "--form", "-u": "--user", "-G": "--get",
    "-b": "--cookie", "-A": "--user-agent", "-e": "--referer", "-I": "--head", "-T": "--upload-file",
    "-E": "--cert", "-K": "--config", "-h": "--help", "-V": "--version", "-M": "--manual",
}  # fmt: skip
NO: Final[Mapping[str, str]] = {
    "--config": "a file of options is not read",
    "--next": "one request is drafted at a time: give the others on their own",
    "--aws-sigv4": "requests signed by AWS Signature Version 4 cannot be described",
    "--ntlm": "logins by NTLM cannot be described",
    "--negotiate": "logins by Negotiate cannot be described",
    "--help": "it sends nothing",
    "--version": "it sends nothing",
    "--manual": "it sends nothing",
}
NO_VALUED: Final = frozenset({"--config", "--aws-sigv4"})
