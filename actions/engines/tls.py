"""The TLS settings of engines that use Python's own `ssl`."""

import ssl
import tempfile

from actions.errors import Refused
from actions.transport import EngineSettings


def trust(settings: EngineSettings) -> ssl.SSLContext:
    """Return the TLS settings of a connection: the system's authorities, its own one, its certificate."""
    context = ssl.create_default_context()
    # The same on every Python (3.13 has changed its defaults): what is listed is trusted as it is, be it an
    # authority below another, and certificates need not say more than it takes to check them: private ones
    # seldom do.
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT
    try:
        if settings.ca_pem:
            context.load_verify_locations(cadata=settings.ca_pem.decode("ascii"))
        if settings.identity_pem:
            with tempfile.NamedTemporaryFile() as file:  # OpenSSL takes a path only; the mode is 0600
                file.write(settings.identity_pem)
                file.flush()
                context.load_cert_chain(file.name)
    except (ssl.SSLError, ValueError):
        raise Refused(f"{settings.name}: the CA or client certificate cannot be read") from None
    return context
