"""The look at the ramps that are under way: steps that are due, and guards that trip."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from gateway.config.changes import RAMP, acting, saying
from gateway.config.ramps import begin, begin_step, roll_back
from gateway.history.arms import sessions_begun
from gateway.models import Ramp
from gateway.models.configuration.ramp import ACTIVE, RampState
from gateway.models.database_errors import concerns_server
from gateway.watch import guards

logger = logging.getLogger("gateway.watch")


def look(now: datetime) -> None:
    """Decide about each ramp under way. One that cannot be judged does not hold up the others.

    Raises what concerns the database's server.
    """
    active = Ramp.objects.filter(state__in=ACTIVE).select_related("mapping", "target__provider")
    for ramp in active.order_by("pk"):
        try:
            with acting(source=RAMP):
                decide(ramp, now)
        except Exception as problem:
            if concerns_server(problem):
                raise
            logger.exception("unexpected error with a ramp", extra={"ramp": ramp.pk})


def decide(ramp: Ramp, now: datetime) -> bool:
    """Begin a step that is due, or roll back; whether anything was decided here."""
    if ramp.state == RampState.WAITING:
        if ramp.starts_at is not None and ramp.starts_at > now:
            return False
        with saying(_("The ramp began.")):
            return begin(ramp, now)
    found = guards.sides(ramp, now) if ramp.is_guarded else ()
    tripped = guards.trip(ramp, found)
    if tripped is not None:
        with saying(_("A guard of the ramp tripped: all sessions went back.")):
            rolled_back = roll_back(ramp, now, tripped.as_json())
        if rolled_back:
            logger.warning(
                "a guard rolled a ramp back",
                extra={"mapping": str(ramp.mapping), "guard": tripped.guard, "ramp": ramp.pk},
            )
        return rolled_back
    if ramp.state != RampState.RUNNING or not guards.may_go_on(ramp, found):
        return False
    step = ramp.steps[ramp.step]
    since = ramp.step_since or now
    if step.get("sessions"):
        given = sessions_begun(ramp.mapping_id, ramp.target.arm, since)
        return given >= step["sessions"] and begin_step(ramp, now)
    due = since + timedelta(seconds=step.get("seconds", 0))
    return due <= now and begin_step(ramp, now, None if ramp.is_guarded else due)
