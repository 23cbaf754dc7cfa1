"""--offline: a guard that refuses every connection which Python code of this process asks for."""

import socket
import sys

from audiomend.errors import AudiomendError

_LOOK_UPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_SENDING = ("socket.connect", "socket.sendto", "socket.sendmsg")
_LOCAL = getattr(socket, "AF_UNIX", None)  # processes of one machine talk over these


def forbid_network() -> None:
    """From now on a look-up or a connection raises AudiomendError. It cannot be undone.

    An audit hook (PEP 578), so that no library can go around it from Python; native code could.
    """
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in _LOOK_UPS:
        raise AudiomendError(f"--offline: the network was asked for ({event} of {arguments[0]}) and refused")
    if event in _SENDING:
        asked = arguments[0]
        if isinstance(asked, socket.socket) and asked.family != _LOCAL:
            raise AudiomendError(f"--offline: the network was asked for ({event}) and refused")
