"""The records: what admins edit, and the history."""

from gateway.models.attempt import Attempt
from gateway.models.base import (
    ConfigRecord,
    ConfigStamp,
    EncryptedTextField,
    Origin,
    SavedElsewhere,
    Sealed,
    SecretOriginField,
    config_changed,
    config_written,
    is_left_behind,
)
from gateway.models.body_content import ContentBlob, ContentNode
from gateway.models.client_key import ClientKey
from gateway.models.conformance import CapabilityResult, ConformanceRun
from gateway.models.follow_up import FollowUp, SearchText, SessionTotal
from gateway.models.hourly_total import CountedName, DailyTotal, HourlyLedger, HourlyTotal
from gateway.models.learnt_option import Decision, LearntOption
from gateway.models.limit_counter import LimitCounter, LimitHold
from gateway.models.listed_model import ListedModel
from gateway.models.model_mapping import MappingTarget, ModelMapping
from gateway.models.model_price import ModelPrice
from gateway.models.oversight import ContentRead, LegalHold, PurgeRun, Retention, SecretPattern
from gateway.models.provider import Provider, ProviderCredential
from gateway.models.request_log import RequestBody, RequestLog
from gateway.models.search_engine import SearchEngine
from gateway.models.serving_process import ServingProcess
from gateway.models.set_aside_target import SetAsideTarget
from gateway.models.token_factor import TokenFactor

__all__ = [
    "Attempt",
    "CapabilityResult",
    "ClientKey",
    "ConfigRecord",
    "ConfigStamp",
    "ConformanceRun",
    "ContentBlob",
    "ContentNode",
    "ContentRead",
    "CountedName",
    "DailyTotal",
    "Decision",
    "EncryptedTextField",
    "FollowUp",
    "HourlyLedger",
    "HourlyTotal",
    "LearntOption",
    "LegalHold",
    "LimitCounter",
    "LimitHold",
    "ListedModel",
    "MappingTarget",
    "ModelMapping",
    "ModelPrice",
    "Origin",
    "Provider",
    "ProviderCredential",
    "PurgeRun",
    "RequestBody",
    "RequestLog",
    "Retention",
    "SavedElsewhere",
    "Sealed",
    "SearchEngine",
    "SearchText",
    "SecretOriginField",
    "SecretPattern",
    "ServingProcess",
    "SessionTotal",
    "SetAsideTarget",
    "TokenFactor",
    "config_changed",
    "config_written",
    "is_left_behind",
]
