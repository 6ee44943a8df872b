#!/usr/bin/env python
"""Django's command line."""

import os
import signal
import sys

if sys.argv[1:2] == ["serve"]:
    # Until it serves there is nothing to keep: Ctrl-C ends it without a traceback. One of several
    # processes leaves it to its parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN if "--lifeline" in sys.argv else signal.SIG_DFL)

from django.core.management import execute_from_command_line

from ccproxy_site.server.loop import choose_loop

if __name__ == "__main__":
    # what is made from here on, database and spool, is nobody else's
    os.umask(0o077)
    choose_loop(sys.argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    execute_from_command_line(sys.argv)
