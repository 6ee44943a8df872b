"""The signals that a terminal sends to everything that runs in it: Ctrl-C, and SIGHUP when it closes.

They reach each of several processes as well as their parent, which alone acts on them.
"""

from __future__ import annotations

import signal


def of_terminal() -> tuple[signal.Signals, ...]:
    """The signals that stop the server in order, besides SIGTERM.

    SIGHUP is not among them where it was ignored when the process began: `nohup` promises that it changes
    nothing.
    """
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGINT,) if ignored else (signal.SIGINT, signal.SIGHUP)
