"""The TLS settings of a source. Reads and opens nothing outside."""

import ssl
import tempfile

from triggers.errors import SourceRejected
from triggers.kafka.config import TLSConfig


def tls_context(name: str, tls: TLSConfig | None) -> ssl.SSLContext | None:
    """Return the TLS settings. Raise SourceRejected when a certificate or key cannot be read."""
    if tls is None:
        return None
    context = ssl.create_default_context()
    context.check_hostname = tls.verify_hostname
    what = "`tls.ca`"
    try:
        if tls.ca is not None:
            context.load_verify_locations(cadata=tls.ca.get_secret_value())
        if tls.cert is not None and tls.key is not None:
            what = "`tls.cert` and `tls.key`"
            with tempfile.NamedTemporaryFile() as file:  # OpenSSL takes a path only; the mode is 0600
                file.write(f"{tls.cert.get_secret_value()}\n{tls.key.get_secret_value()}".encode())
                file.flush()
                context.load_cert_chain(file.name, password="")
    except (ssl.SSLError, ValueError, OSError):
        raise SourceRejected(f"{name}: {what} cannot be read: give PEM text") from None
    return context
