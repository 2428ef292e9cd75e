"""TLS settings from PEM texts, for every source that connects. Opens nothing outside."""

import ssl
import tempfile

from pydantic import SecretStr

from triggers.errors import SourceRejected


def tls_context(
    where: str,
    *,
    ca: SecretStr | None,
    cert: SecretStr | None,
    key: SecretStr | None,
    beside: bool = False,
    inside: str = "",
) -> ssl.SSLContext:
    """Return whom to trust and who we are. Raise SourceRejected when a text cannot be used.

    `where` begins the message, `inside` the fields' names in it. Without `ca` the system's authorities are
    trusted; with it, it alone, or `beside` them. An encrypted key is refused: OpenSSL would ask for its
    password on the terminal.
    """
    own = None if ca is None or beside else ca.get_secret_value()
    try:
        context = ssl.create_default_context(cadata=own)
        if ca is not None and beside:
            context.load_verify_locations(cadata=ca.get_secret_value())
    except (ssl.SSLError, ValueError):
        raise SourceRejected(
            f"{where}`{inside}ca` is no PEM certificate (not readable PEM); give the certificate's text"
        ) from None
    # The same on every Python (3.13 has changed its defaults): what is listed is trusted as it is, be it an
    # authority below another, and certificates need not say more than it takes to check them: private ones
    # seldom do.
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT
    if cert is None or key is None:
        return context
    try:
        with tempfile.NamedTemporaryFile() as file:  # OpenSSL takes a path only; the mode is 0600
            file.write(f"{cert.get_secret_value()}\n{key.get_secret_value()}\n".encode())
            file.flush()
            context.load_cert_chain(file.name, password="")
    except (ssl.SSLError, ValueError):
        raise SourceRejected(
            f"{where}`{inside}cert` and `{inside}key` cannot be used (not readable PEM, no pair, or an "
            "encrypted key); give both as PEM text, the key not encrypted"
        ) from None
    return context
