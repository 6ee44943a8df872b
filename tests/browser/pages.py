"""The pages of ours that are looked at one after the other, and what stands on them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.browser.asking import ask, recorded
from tests.conftest import asking
from tests.fakes.provider import stream
from tests.server.conftest import environment, manage

if TYPE_CHECKING:
    from tests.browser.conftest import Console

# names in braces are those of Furnished.records
PAGES = {
    "dashboard": "/admin/?range=30d",
    "live": "/admin/gateway/requestlog/live/",
    "requests": "/admin/gateway/requestlog/",
    "providers": "/admin/gateway/provider/",
    "users": "/admin/auth/user/",
    "request, conversation": "/admin/gateway/requestlog/{request}/change/",
    "request, both sides": "/admin/gateway/requestlog/{request}/change/?tab=compare",
    "request, timeline": "/admin/gateway/requestlog/{request}/change/?tab=timeline",
    "request, as curl": "/admin/gateway/requestlog/{request}/change/?tab=curl",
    "replay": "/admin/gateway/requestlog/{request}/replay/",
    "problems": "/admin/gateway/problem/?state=all",
    "costs": "/admin/gateway/hourlytotal/?range=7d",
    "caching": "/admin/gateway/cachemiss/?range=30d",
    "models": "/admin/gateway/hourlyoutcome/?range=30d",
    "refused keys": "/admin/gateway/refusedkey/",
    "notifications": "/admin/gateway/notificationchannel/add/",
    "sessions": "/admin/gateway/sessiontotal/",
    "session": "/admin/gateway/sessiontotal/walked-session/change/",
    "transcript": "/admin/gateway/sessiontotal/walked-session/transcript/",
    "provider": "/admin/gateway/provider/{provider}/change/",
    "provider, new": "/admin/gateway/provider/add/",
    "provider, test": "/admin/gateway/provider/{provider}/test/",
    "provider, conformance": "/admin/gateway/provider/{provider}/conformance/",
    "mapping": "/admin/gateway/modelmapping/{mapping}/change/",
    "mapping, shares": "/admin/gateway/modelmapping/{mapping}/ramp/",
    "mappings": "/admin/gateway/modelmapping/",
    "where would it go": "/admin/gateway/modelmapping/where/?model=claude-keys",
    "learnt options": "/admin/gateway/learntoption/",
    "evaluation, new": "/admin/gateway/evaluation/new/",
    "safety verdicts": "/admin/gateway/safeguardverdict/",
    "safeguard rules, tried": "/admin/gateway/safeguardrule/test/",
    "what a person gets": "/admin/gateway/managedpolicy/result/",
    "client keys": "/admin/gateway/clientkey/",
    "client key": "/admin/gateway/clientkey/{key}/change/",
    "many client keys": "/admin/gateway/clientkey/issue-many/",
    "client key, rotate": "/admin/gateway/clientkey/{key}/rotate/",
    "price": "/admin/gateway/modelprice/add/",
    "changes": "/admin/admin/logentry/",
    "change": "/admin/admin/logentry/{change}/change/",
    "reads": "/admin/gateway/contentread/",
    "retention": "/admin/gateway/retention/1/change/",
    "emergency stop": "/admin/gateway/emergencystop/1/change/",
    "legal hold": "/admin/gateway/legalhold/add/",
    "group": "/admin/auth/group/1/change/",
}
# more of the same templates: for checks that cost little a page
MORE = {
    "person": "/admin/auth/user/1/change/",
    "groups": "/admin/auth/group/",
    "budgets": "/admin/gateway/personbudget/",
    "budget": "/admin/gateway/personbudget/add/",
    "policies": "/admin/gateway/managedpolicy/",
    "policy": "/admin/gateway/managedpolicy/add/",
    "prices": "/admin/gateway/modelprice/",
    "token factors": "/admin/gateway/tokenfactor/",
    "search engines": "/admin/gateway/searchengine/",
    "search engine": "/admin/gateway/searchengine/add/",
    "safeguard rules": "/admin/gateway/safeguardrule/",
    "safeguard rule": "/admin/gateway/safeguardrule/add/",
    "notification channels": "/admin/gateway/notificationchannel/",
    "new from clients": "/admin/gateway/clientnovelty/",
    "evaluations": "/admin/gateway/evaluation/",
    "datasets": "/admin/gateway/dataset/",
    "secret patterns": "/admin/gateway/secretpattern/",
    "secret pattern": "/admin/gateway/secretpattern/add/",
    "legal holds": "/admin/gateway/legalhold/",
    "requests, found": "/admin/gateway/requestlog/?q=Hello&range=30d",
    "requests, as a person sees them": "/admin/gateway/requestlog/?status=2xx&q=key:Walked",
    "sign-in": "/admin/gateway/clientkey/device/",
    "password": "/admin/password_change/",
}


@dataclass
class Furnished:
    """`key`: a client key. `records`: the number of one record of each kind, by its name in PAGES."""

    key: str
    records: dict[str, object]


async def furnish(console: Console) -> Furnished:
    """A provider, a mapping, a client key, and a request in a session."""
    console.configure(
        providers=[console.provider_section()],
        mappings=[{"pattern": "*", "targets": [{"provider": "fake", "upstream_model": "up"}]}],
    )
    console.provider.answers("up", stream("Hello"))
    said = manage("createclientkey", "Walked", env=environment(console.served.data)).stdout
    key = re.search(r"ccp_\S+", said)[0]
    session = {"x-claude-code-session-id": "walked-session"}
    await ask(console, asking(model="claude-walked", stream=True), key, **session)
    await recorded(console, 1)
    tables = {
        "request": "gateway_requestlog", "provider": "gateway_provider", "mapping": "gateway_modelmapping",
        "key": "gateway_clientkey", "change": "django_admin_log",
    }  # fmt: skip
    rows = {name: console.served.rows(f"SELECT max(id) AS id FROM {table}") for name, table in tables.items()}
    return Furnished(key, {name: found[0]["id"] for name, found in rows.items()})
