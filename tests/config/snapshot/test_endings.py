"""Sign-ins end in every process within two seconds of the clock that the processes wait by.

How long a busy machine takes to run a look is no part of it; tests/server/test_signed_in_people.py asks real
processes.
"""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from gateway.config import sign_in
from gateway.config.snapshot.current import CurrentSnapshot
from gateway.models import ClientKey

pytestmark = pytest.mark.django_db(transaction=True)
KEYS = (b"k" * 32,)
# what docs and pages promise
PROMISED = 2.0


class Waits:
    """In place of the event that a process waits for between two looks: time passes, and nobody wakes it."""

    def __init__(self, process):
        self.process, self.seconds = process, 0.0

    def wait(self, timeout):
        self.seconds += timeout
        self.process._stopping = self.seconds > PROMISED

    def clear(self):
        pass


class OtherProcess:
    """One that hears nothing of what happens in this one, but looks into the database as each does."""

    def __init__(self):
        self.told = []
        self.current = CurrentSnapshot(tell=lambda snapshot: self.told.append(self.waits.seconds))
        self.waits = self.current._look_now = Waits(self.current)

    def serves(self, key):
        entry = self.current.snapshot.sign_ins.get(key.pk)
        return entry is not None and entry.refusal(timezone.now().timestamp()) is None

    def waits_as_long_as_is_promised(self):
        self.current._run()


def signed_in():
    user, now = get_user_model().objects.create_user("ada"), timezone.now()
    begun = sign_in.begin("10.0.0.7", "claude-code/2.1.332", now)
    key = sign_in.approve(sign_in.waiting(begun.user_code, now), user, now)
    return key, sign_in.poll(begun.device_code, now, KEYS, lambda _: True)


def two_use_one_sign_in(key, tokens):
    now = timezone.now()
    renewed = sign_in.renew(tokens.refresh_token, now, KEYS)
    sign_in.renew(renewed.refresh_token, now, KEYS)
    with pytest.raises(sign_in.SignInRefused):
        sign_in.renew(tokens.refresh_token, now + timedelta(hours=1), KEYS)


ENDINGS = {
    "the machine signs out": lambda key, tokens: sign_in.end(tokens.access_token, KEYS),
    "the machine signs out with its refresh token": lambda key, tokens: sign_in.end(
        tokens.refresh_token, KEYS
    ),
    "somebody revokes it": lambda key, tokens: key.revoke(),
    "a script that knows nothing of the gateway deactivates the account": lambda key, tokens: (
        get_user_model().objects.filter(pk=key.user_id).update(is_active=False)
    ),
    "the account is deleted": lambda key, tokens: key.user.delete(),
    "two hold its tokens": two_use_one_sign_in,
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_however_a_sign_in_ends_every_process_refuses_its_tokens_within_two_seconds(ending):
    key, tokens = signed_in()
    processes = [OtherProcess(), OtherProcess()]
    assert all(one.serves(key) for one in processes)
    ending(key, tokens)
    for one in processes:
        one.waits_as_long_as_is_promised()
        assert not one.serves(key)
        # running exchanges end when this is told
        assert one.told and one.told[0] <= PROMISED
    assert ClientKey.objects.count() == 1
