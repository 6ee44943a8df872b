"""CurrentSnapshot: the configuration in force in this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from django.db import connection

from gateway.config.snapshot import loader
from gateway.models import ConfigStamp, config_changed
from gateway.routing.snapshot import ConfigSnapshot

logger = logging.getLogger(__name__)

INTERVAL: Final = 0.5


class CurrentSnapshot:
    """Requests read `.snapshot`, a plain attribute; one thread keeps it fresh.

    The thread looks at the ConfigStamp every half second, and at once after a
    change was committed in this process; `tell` gets each new snapshot, in that
    thread. `looked` is called after each look that succeeded, with whether a new snapshot came into force.
    While the database does not answer, the last snapshot stays in force. Make
    it where the database may be used (not in a coroutine): the first load happens in
    the constructor and raises what the database raises.
    """

    def __init__(
        self,
        *,
        load: Callable[[], ConfigSnapshot] = loader.load,
        stamp: Callable[[], int] = ConfigStamp.current,
        interval: float = INTERVAL,
        tell: Callable[[ConfigSnapshot], None] = lambda snapshot: None,
        looked: Callable[[bool], None] = lambda loaded: None,
    ) -> None:
        self._load = load
        self._stamp = stamp
        self._interval = interval
        self._tell = tell
        self._looked = looked
        self._look_now = threading.Event()
        self._stopping = False
        self._failing = False
        self._thread: threading.Thread | None = None
        self.snapshot: ConfigSnapshot = load()
        looked(True)

    def start(self) -> None:
        """Start the thread, once; a daemon, so it need not be stopped."""
        if self._thread is None:
            config_changed.connect(self._changed)
            self._thread = threading.Thread(target=self._run, name="config-snapshot", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it; the last snapshot stays readable."""
        if self._thread is not None:
            config_changed.disconnect(self._changed)
            self._stopping = True
            self._look_now.set()
            self._thread.join()
            self._thread = None
            self._stopping = False

    def reload(self) -> ConfigSnapshot:
        """Load now, in the calling thread. Raises what the database raises."""
        self.snapshot = self._load()
        return self.snapshot

    def look(self) -> bool:
        """One check of the stamp; True when a new snapshot is in force. Never raises."""
        try:
            changed = self._stamp() != self.snapshot.stamp
            if changed:
                self._tell(self.reload())
        except Exception:
            # once per outage, not twice a second
            if not self._failing:
                logger.exception("the configuration cannot be read; the last one stays in force")
            self._failing = True
            return False
        self._failing = False
        self._looked(changed)
        return changed

    def _changed(self, **_: Any) -> None:
        self._look_now.set()

    def _run(self) -> None:
        # The thread keeps its own connection: a new one twice a second would cost more than the check.
        while not self._stopping:
            self._look_now.wait(self._interval)
            self._look_now.clear()
            if not self._stopping:
                self.look()
            if self._failing:
                connection.close()
        connection.close()
