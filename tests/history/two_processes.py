"""Stores one session under names of its own and reads it back; run twice at once by test_bodies.py.

Prints how many rows, nodes and blobs the database holds in the end.
"""

import os
import sys

import django

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "ccproxy_site.settings"
    django.setup()

    from bench.sessions import session
    from gateway.history.content.bodies import rebuilt
    from gateway.history.outcome import CapturedBodies
    from gateway.history.record.rows import write
    from gateway.models import ContentBlob, ContentNode, RequestBody
    from gateway.wire import jsontext
    from tests.history.record.test_recorder import outcome

    name = sys.argv[1]
    print("ready", flush=True)
    sys.stdin.readline()
    for number, (received, sent) in enumerate(session(40)):
        texts = CapturedBodies({}, jsontext.dumps(received), jsontext.dumps(sent))
        write([outcome(number, request_id=f"{name}{number}", bodies=texts)])
        assert rebuilt(f"{name}{number}", "received") == texts.received
        assert rebuilt(f"{name}{number}", "sent") == texts.sent
    print(RequestBody.objects.count(), ContentNode.objects.count(), ContentBlob.objects.count())
