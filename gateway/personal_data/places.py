"""Every kind of record, and what of a person it holds.

A new model has to be added here: tests/personal_data/test_places.py compares the table with the models.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple


class AfterErasure(Enum):
    """What an erasure does with what a person left in the records of a model."""

    REMOVED = "the records go"
    EMPTIED = "the records stay, what says who or what goes"
    COUNTED = "numbers stay; the account and the key they count for have lost their names"
    NOTHING = "no data of a person"


class Place(NamedTuple):
    """`links`: the fields by which a record belongs to a person, their keys or their requests.

    `named`: the fields of other records in which a person may be named. An erasure rewords them
    (gateway/personal_data/wording.py), in the records and in what the log of changes says they were.
    """

    fate: AfterErasure
    links: tuple[str, ...] = ()
    named: tuple[str, ...] = ()


PLACES: Final[dict[str, Place]] = {
    # -- requests and what was made of them
    "gateway.RequestLog": Place(
        AfterErasure.REMOVED,
        ("request_id", "client_key", "key_name", "owner_id", "session_id", "agent_id", "parent_agent_id",
         "prompt_id", "client_address", "replay_of", "caller_request_id", "upstream_request_id"),
    ),
    "gateway.RequestBody": Place(AfterErasure.REMOVED, ("log",)),
    "gateway.Attempt": Place(AfterErasure.REMOVED, ("log", "upstream_request_id")),
    "gateway.SafeguardVerdict": Place(AfterErasure.REMOVED, ("log", "check_id")),
    "gateway.CacheMiss": Place(AfterErasure.REMOVED, ("log", "before_id", "session_id")),
    "gateway.FollowUp": Place(AfterErasure.REMOVED, ("request_id",)),
    "gateway.SessionTotal": Place(
        AfterErasure.REMOVED, ("session_id", "holder", "client_key_id", "key_name")
    ),
    "gateway.SearchText": Place(AfterErasure.REMOVED, ("request_id",)),
    # shared by all requests that need a piece; swept once no request does
    "gateway.ContentNode": Place(AfterErasure.REMOVED),
    "gateway.ContentBlob": Place(AfterErasure.REMOVED),
    "gateway.CountedTurn": Place(AfterErasure.REMOVED, ("request_id",)),
    "gateway.RefusedKey": Place(AfterErasure.REMOVED, ("client_key_pk", "last_address")),
    "gateway.DatasetStep": Place(AfterErasure.EMPTIED, ("session", "agent_id", "request_id")),
    "gateway.EvaluationStep": Place(AfterErasure.EMPTIED, ("recorded", "answer_id", "judge_id")),
    "gateway.ClientNovelty": Place(AfterErasure.EMPTIED, ("request_id",)),
    "gateway.Problem": Place(AfterErasure.EMPTIED, ("decided_by",)),
    # -- the person
    "auth.User": Place(AfterErasure.EMPTIED, ("groups", "user_permissions")),
    "auth.User_groups": Place(AfterErasure.REMOVED, ("user",)),
    "auth.User_user_permissions": Place(AfterErasure.REMOVED, ("user",)),
    "sessions.Session": Place(AfterErasure.REMOVED, ()),
    "gateway.ClientKey": Place(
        AfterErasure.EMPTIED, ("user", "rotated_to", "owner", "address", "client"), ("owner",)
    ),
    "gateway.PersonBudget": Place(AfterErasure.REMOVED, ("user",)),
    "gateway.ManagedPolicy": Place(AfterErasure.REMOVED, ("user",)),
    "gateway.SafeguardRule": Place(AfterErasure.REMOVED, ("user",)),
    "gateway.SavedView": Place(AfterErasure.REMOVED, ("user",), ("name", "query")),
    "gateway.DeviceGrant": Place(AfterErasure.REMOVED, ("user", "key", "address")),
    "gateway.RefreshToken": Place(AfterErasure.REMOVED, ("key",)),
    "gateway.NotificationChannel": Place(AfterErasure.EMPTIED, ("addresses",), ("name", "addresses")),
    "gateway.Notice": Place(AfterErasure.EMPTIED, (), ("text",)),
    # what a channel's server said, which may name an address
    "gateway.Delivery": Place(AfterErasure.EMPTIED, (), ("problem",)),
    "gateway.Dataset": Place(AfterErasure.EMPTIED, ("created_by",), ("name",)),
    "gateway.Evaluation": Place(AfterErasure.EMPTIED, ("started_by",), ("name", "problem")),
    # its conditions may ask for an owner or a key
    "gateway.ModelMapping": Place(AfterErasure.EMPTIED, (), ("when", "note")),
    "admin.LogEntry": Place(AfterErasure.EMPTIED, ("user",)),
    # a note of a read stays, with the name that the account has now
    "gateway.ContentRead": Place(AfterErasure.EMPTIED, ("user", "user_name", "request_id")),
    # -- numbers of people
    "gateway.HourlyTotal": Place(AfterErasure.COUNTED, ("client_key_pk",)),
    "gateway.FormerUse": Place(AfterErasure.COUNTED, ("client_key_pk", "owner_id")),
    "gateway.DailyTotal": Place(AfterErasure.COUNTED, ("client_key_pk",)),
    # numbers stay, the names of folders go
    "gateway.HourlyOrigin": Place(AfterErasure.COUNTED, ("owner_id",)),
    "gateway.DailyOrigin": Place(AfterErasure.COUNTED, ("owner_id",)),
    "gateway.ProblemHour": Place(AfterErasure.COUNTED, ("client_key_pk", "owner_id")),
    "gateway.LimitCounter": Place(AfterErasure.COUNTED),
    "gateway.LimitHold": Place(AfterErasure.COUNTED),
    "gateway.CountedUnit": Place(AfterErasure.COUNTED),
    "gateway.Erasure": Place(AfterErasure.COUNTED, ("user_pk", "asked_by")),
    # what a hold covers is erased once it is lifted, and until then the name stays
    "gateway.LegalHold": Place(AfterErasure.COUNTED, ("client_key", "session_id")),
    # who decided, by the number of an account
    "gateway.LearntOption": Place(AfterErasure.COUNTED, ("decided_by",)),
    "gateway.ConformanceRun": Place(AfterErasure.COUNTED, ("started_by",)),
    **dict.fromkeys(
        (
            "gateway.ConfigStamp", "gateway.EmergencyStop", "gateway.Retention", "gateway.PurgeRun",
            "gateway.SecretPattern",
            "gateway.SetAsideTarget", "gateway.Provider", "gateway.ProviderCredential",
            "gateway.CapabilityResult", "gateway.ListedModel", "gateway.MappingTarget",
            "gateway.ModelPrice", "gateway.Ramp", "gateway.SearchEngine",
            "gateway.Shadow", "gateway.HourlyLedger", "gateway.CountedName", "gateway.HourlyOutcome",
            "gateway.DailyOutcome", "gateway.HourlyTool", "gateway.DailyTool", "gateway.CountedTool",
            "gateway.TokenFactor", "gateway.Lease", "gateway.ServingProcess",
            "auth.Permission", "auth.Group", "auth.Group_permissions", "contenttypes.ContentType",
        ),
        Place(AfterErasure.NOTHING),
    ),
}  # fmt: skip
