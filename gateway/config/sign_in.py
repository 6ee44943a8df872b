"""Sign-ins of clients by the device flow: begun, confirmed, renewed, ended.

Every function is one transaction, or a statement that only one caller can win, so that it holds for any
number of processes. `now` is aware time. What a machine gets is stored as a digest.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _

from gateway.client_protocol import sign_in as protocol
from gateway.conf import gateway_conf
from gateway.models import ClientKey, DeviceGrant, LimitCounter, Origin, RefreshToken
from gateway.security import access_tokens
from gateway.security.client_keys import digest, new_key
from gateway.security.client_networks import counted_as

# a machine that is not used for so long signs in again
REFRESH_LIFETIME: Final = timedelta(days=30)
_TAKEN_OVER: Final = (
    "allowed_models", "capture", "requests_per_minute", "input_tokens_per_minute",
    "output_tokens_per_minute", "concurrent_requests", "budget_period", "spend_budget", "token_budget",
)  # fmt: skip
# of one address, within the lifetime of a grant
MOST_STARTS: Final = 30
# wrong codes that are accepted within MISSES_HOLD seconds
MOST_MISSES: Final = 10
MOST_MISSES_OF_ADDRESS: Final = 200
MISSES_HOLD: Final = 600


class SignInRefused(Exception):
    """An OAuth error: its code, the HTTP status, and a sentence for people."""

    def __init__(self, code: str, text: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.text, self.status = code, text, status


@dataclass(frozen=True, slots=True)
class Begun:
    """What the machine is told: a secret to poll with, and the code for the person."""

    device_code: str
    user_code: str


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """What the machine holds from now on. `account`: the person's address or name."""

    access_token: str
    refresh_token: str
    account: str


def begin(address: str, client: str, now: datetime) -> Begun:
    """A machine asks to be let in. Raises SignInRefused when its address asks too often.

    Of an IPv6 address its /64 is kept and counted: a client has as many addresses there as it wants.
    """
    address = counted_as(address)[:64]
    DeviceGrant.objects.filter(expires_at__lt=now - timedelta(days=1)).delete()
    since = now - timedelta(seconds=protocol.GRANT_LIFETIME)
    if DeviceGrant.objects.filter(address=address, created_at__gt=since).count() >= MOST_STARTS:
        raise SignInRefused(protocol.SLOW_DOWN, "Too many sign-ins were begun at this address.", 429)
    device_code = secrets.token_urlsafe(32)
    user_code = "".join(secrets.choice(protocol.CODE_LETTERS) for _ in range(protocol.CODE_LENGTH))
    DeviceGrant.objects.create(
        device_digest=digest(device_code),
        user_code=user_code,
        address=address,
        client=client.replace("\x00", "\ufffd")[:200],
        created_at=now,
        expires_at=now + timedelta(seconds=protocol.GRANT_LIFETIME),
        interval=protocol.POLL_INTERVAL,
    )
    return Begun(device_code, protocol.shown_code(user_code))


def waiting(typed: str, now: datetime) -> DeviceGrant | None:
    """The machine that waits with the code that a person typed."""
    code = protocol.typed_code(typed)
    if not code:
        return None
    pending = DeviceGrant.objects.filter(user_code=code, state=DeviceGrant.State.PENDING, expires_at__gt=now)
    return pending.first()


def looked_up(typed: str, person: int, address: str, now: datetime) -> DeviceGrant | None:
    """`waiting` for somebody who may be guessing. Raises SignInRefused after too many misses.

    They are counted for the person and, with a bound for a whole office, for the address, in the database:
    so they count in every process. A code that waits counts nothing.
    """
    seconds = int(now.timestamp())
    origin = hashlib.sha256(counted_as(address).encode("utf-8", "replace")).hexdigest()[:32]
    bounds = {f"codes:person:{person}": MOST_MISSES, f"codes:address:{origin}": MOST_MISSES_OF_ADDRESS}
    counters = LimitCounter.objects.filter(name__in=bounds)
    missed = counters.filter(expires__gt=seconds).values_list("name", "value")
    if any(value >= bounds[name] for name, value in missed):
        raise SignInRefused(protocol.SLOW_DOWN)
    grant = waiting(typed, now)
    if grant is None:
        with transaction.atomic():
            LimitCounter.objects.filter(name__startswith="codes:", expires__lte=seconds).delete()
            for name in sorted(bounds):
                LimitCounter.objects.get_or_create(name=name, defaults={"expires": seconds + MISSES_HOLD})
            counters.update(value=F("value") + 1)
    return grant


def approve(grant: DeviceGrant, user: Any, now: datetime) -> ClientKey | None:
    """Let the machine in: its sign-in. None when it no longer waits, or the account is not active."""
    with transaction.atomic():
        if not user.is_active or not _decide(grant, DeviceGrant.State.APPROVED, user, now):
            return None
        key = ClientKey(
            name=_("Sign-in from %(address)s, %(day)s")
            % {"address": grant.address or "?", "day": f"{now:%Y-%m-%d}"},
            user=user,
            origin=Origin.SIGN_IN,
            address=grant.address,
            client=grant.client,
            **_limits_of(user, now),
        )
        # of a secret that is thrown away: nobody comes in with the key itself
        key.digest = digest(new_key())
        key.save()
        DeviceGrant.objects.filter(pk=grant.pk).update(key=key)
    return key


def _limits_of(user: Any, now: datetime) -> dict[str, Any]:
    """The limits that a new sign-in begins with, so that nobody gets rid of theirs by /login.

    They are those of the person's last sign-in, ended or not; without one, of their newest key that is
    neither revoked nor expired. As after a rotation, what that one used is used. Whoever has neither gets
    the models of SIGN_IN_MODELS.
    """
    model = _model_of(user, now)
    while model is not None:
        lineage = model.lineage or model.pk
        # the key may be given to somebody else at this moment (limits/former_use.py)
        ClientKey.lock_line(lineage)
        seen, model = model, _model_of(user, now)
        if model is not None and (model.pk, model.lineage) == (seen.pk, seen.lineage):
            return {name: getattr(model, name) for name in _TAKEN_OVER} | {"lineage": lineage}
    return {"allowed_models": list(gateway_conf().sign_in_models)}


def _model_of(user: Any, now: datetime) -> ClientKey | None:
    theirs = ClientKey.objects.filter(user=user).order_by("-created", "-pk")
    in_service = theirs.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)
    return theirs.filter(origin=Origin.SIGN_IN).first() or in_service.first()


def deny(grant: DeviceGrant, user: Any, now: datetime) -> bool:
    """The person says that the machine is not theirs."""
    return _decide(grant, DeviceGrant.State.DENIED, user, now)


def _decide(grant: DeviceGrant, state: str, user: Any, now: datetime) -> bool:
    pending = DeviceGrant.objects.filter(pk=grant.pk, state=DeviceGrant.State.PENDING, expires_at__gt=now)
    return pending.update(state=state, user=user) == 1


def poll(
    device_code: str, now: datetime, keys: tuple[bytes, ...], known: Callable[[int], bool]
) -> IssuedTokens:
    """A machine asks how things stand. `known`: whether the process serves a sign-in by now.

    Raises SignInRefused with the protocol's codes.
    """
    grant = (
        DeviceGrant.objects.select_related("key", "user").filter(device_digest=digest(device_code)).first()
    )
    if grant is None or grant.expires_at <= now or grant.state == DeviceGrant.State.SPENT:
        raise SignInRefused(protocol.EXPIRED)
    if grant.state == DeviceGrant.State.DENIED:
        raise SignInRefused(protocol.DENIED)
    if grant.polled_at is not None and (now - grant.polled_at).total_seconds() < grant.interval - 1:
        slower = min(60, grant.interval + protocol.SLOWER)
        DeviceGrant.objects.filter(pk=grant.pk).update(polled_at=now, interval=slower)
        raise SignInRefused(protocol.SLOW_DOWN)
    DeviceGrant.objects.filter(pk=grant.pk).update(polled_at=now)
    if grant.key is None or not known(grant.key.pk):
        raise SignInRefused(protocol.PENDING)
    with transaction.atomic():
        approved = DeviceGrant.objects.filter(pk=grant.pk, state=DeviceGrant.State.APPROVED)
        if approved.update(state=DeviceGrant.State.SPENT) != 1:
            raise SignInRefused(protocol.EXPIRED)
        return _tokens(grant.key, now, keys)


def renew(refresh_token: str, now: datetime, keys: tuple[bytes, ...]) -> IssuedTokens:
    """A new pair for a refresh token, which ends with it, a little later. Raises SignInRefused.

    Several processes of one machine may renew with the same token at once. A machine that never got the
    answer uses its old token much later; then what was issued in that answer is superseded. Two holders of
    one sign-in are found out, and the sign-in ends, when a token is used long after a successor of it was,
    or when a superseded one turns up.
    """
    ended = SignInRefused(protocol.INVALID_GRANT, "This sign-in has ended; run /login.", 401)
    with transaction.atomic():
        token = (
            RefreshToken.objects.select_for_update(of=("self",))
            .select_related("key__user")
            .filter(digest=digest(refresh_token))
            .first()
        )
        if token is None or token.expires_at <= now or token.key.state(now) != "active":
            raise ended
        if not token.superseded and _may_renew(token, now):
            return _tokens(token.key, now, keys, token)
        token.key.revoke()
    raise ended


def _may_renew(token: RefreshToken, now: datetime) -> bool:
    """Whether one holder alone can have this token; begins its grace. Call it with the row locked."""
    if token.used_at is not None and now - token.used_at <= timedelta(seconds=protocol.REUSE_GRACE):
        return True
    if token.used_at is not None and _renewed_by_release_before(token):
        return False
    # first the statement that waits for a successor's own renewal, then the question whether there was one
    token.successors.filter(used_at=None).update(superseded=True)
    if token.successors.exclude(used_at=None).exists():
        return False
    # several processes of the machine may come together now
    RefreshToken.objects.filter(pk=token.pk).update(used_at=now)
    return True


def _renewed_by_release_before(token: RefreshToken) -> bool:
    """Whether a token that came in place of this spent one does not say so, and may be in use unnoticed.

    Until migration 0049 tokens named no predecessor. The first token of a sign-in names none either, but it
    was issued before any was spent.
    """
    since = RefreshToken.objects.filter(key=token.key_id, predecessor=None, issued_at__gte=token.used_at)
    return since.exclude(pk=token.pk).exists()


def end(token: str, keys: tuple[bytes, ...]) -> None:
    """The machine signs out, by its access token or its refresh token. An unknown one ends nothing."""
    access = access_tokens.read_access_token(token, keys)
    if access is not None:
        found = ClientKey.objects.filter(pk=access.sign_in, origin=Origin.SIGN_IN).first()
    else:
        held = RefreshToken.objects.select_related("key").filter(digest=digest(token)).first()
        found = held.key if held is not None else None
    if found is not None:
        found.revoke()


def _tokens(
    key: ClientKey, now: datetime, keys: tuple[bytes, ...], predecessor: RefreshToken | None = None
) -> IssuedTokens:
    RefreshToken.objects.filter(key=key, expires_at__lt=now).delete()
    refresh = access_tokens.new_refresh_token()
    RefreshToken.objects.create(
        digest=digest(refresh),
        key=key,
        issued_at=now,
        expires_at=now + REFRESH_LIFETIME,
        predecessor=predecessor,
    )
    expires = int(now.timestamp()) + protocol.ACCESS_LIFETIME
    access = access_tokens.new_access_token(key.pk, expires, keys)
    return IssuedTokens(access, refresh, (key.user and (key.user.email or key.user.get_username())) or "")
