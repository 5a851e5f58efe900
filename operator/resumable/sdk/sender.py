"""Who sends a signal, when nobody says: what a person may know, not what a service has proven."""

import getpass
import socket


def this_user() -> str:
    """`user@host` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
