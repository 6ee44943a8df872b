"""Why a mapping wins or loses, and why a target is out, in sentences for pages and commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from gateway.models.configuration.condition_words import fact_words, sentence_of
from gateway.routing.resolve import Candidate, Cause, Manner

_MANNERS: Final[Mapping[Manner, Any]] = {
    Manner.EXACT_NAME: _("the exact name %(spelling)s"),
    Manner.PUBLIC_NAME: _("the public name %(spelling)s"),
    Manner.PATTERN: _("the pattern %(pattern)s on %(spelling)s"),
}
_CAUSES: Final[Mapping[Cause, Any]] = {
    Cause.DISABLED: _("It is disabled; otherwise %(how)s would match."),
    Cause.FIRST: _("It is the first enabled rule where %(how)s matches."),
    Cause.BEHIND_ANOTHER: _("Here %(how)s matches too, but another rule comes first."),
    Cause.BEHIND_EXACT: _("Here %(how)s matches too, but exact names come before patterns."),
    Cause.UNMET: _("Here %(how)s matches too, but the request is not as its condition asks: %(unmet)s."),
    Cause.NEVER_MET: _("Here %(how)s matches too, but its condition takes no request. %(flaw)s"),
    Cause.TARGET_DISABLED: _("It is disabled in the mapping."),
    Cause.PROVIDER_DISABLED: _("Its provider is disabled."),
    Cause.CREDENTIAL_UNREADABLE: _("No encryption key opens its provider's credential; enter it again."),
    Cause.CANNOT_SEE: _(
        "It cannot see images, which the request carries; the mapping leaves it out for those."
    ),
    Cause.MODEL_CHANGES_PATH: _("Its base URL has {model} in it, and this name would change the path."),
}


def reason_of_mapping(candidate: Candidate) -> str:
    """Why a rule that matches wins or loses."""
    manner = {"pattern": candidate.rule.pattern, "spelling": candidate.spelling}
    flaw = candidate.rule.condition.flaw
    facts = {
        "how": _MANNERS[candidate.manner] % manner,
        "unmet": ", ".join(map(fact_words, candidate.unmet)),
        "flaw": sentence_of(flaw) if flaw is not None else "",
    }
    return str(_CAUSES[candidate.cause] % facts)


def reason_of_target(cause: Cause | None) -> str:
    """Why a target of the winning rule gives no route."""
    return str(_CAUSES[cause]) if cause is not None else ""
