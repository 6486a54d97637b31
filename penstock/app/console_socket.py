"""Where the console listens. Calls `embedded.listen`; knows nothing of what is served there."""

from __future__ import annotations

import contextlib
import socket

from penstock import telemetry
from penstock.app.embedded import host_and_port, listen
from penstock.errors import SettingsError
from penstock.settings.choices import CONSOLE_LISTEN, Settings

_SETTING, _OPTION = "console_listen", "--console-port"


def console_socket(settings: Settings, *, console_port: int | None, port: int | None) -> socket.socket | None:
    """Listening; None where the settings want no console. `console_port` and `port` are the command line's.

    Whoever lets the API take any free port runs a service beside others, and has the same of the console. A port that nobody
    has chosen is no reason not to start either: another one is taken, and the log says so. Raises SettingsError.
    """
    if not settings.console_listen:
        return None
    host, chosen = host_and_port(settings.console_listen)
    if console_port is None and port == 0:
        console_port = 0
    if console_port is not None or settings.console_listen != CONSOLE_LISTEN:
        return listen(host, chosen if console_port is None else console_port, setting=_SETTING, option=_OPTION)
    with contextlib.suppress(SettingsError):
        return listen(host, chosen, setting=_SETTING, option=_OPTION)
    elsewhere = listen(host, 0, setting=_SETTING, option=_OPTION)
    telemetry.event(
        "console.elsewhere",
        level=telemetry.Level.WARNING,
        taken=settings.console_listen,
        listens=elsewhere.getsockname()[1],
        advice=f"choose a port with {_SETTING} in penstock.toml, or with {_OPTION}",
    )
    return elsewhere
