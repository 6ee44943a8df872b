"""The records: what admins edit, and the history."""

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
from gateway.models.compliance import ContentRead, Erasure, LegalHold, PurgeRun, Retention, SecretPattern
from gateway.models.configuration.client_key import ClientKey
from gateway.models.configuration.conformance import CapabilityResult, ConformanceRun
from gateway.models.configuration.learnt_option import Decision, LearntOption
from gateway.models.configuration.listed_model import ListedModel
from gateway.models.configuration.model_mapping import MappingTarget, ModelMapping
from gateway.models.configuration.model_price import ModelPrice
from gateway.models.configuration.person import ManagedPolicy, PersonBudget
from gateway.models.configuration.provider import Provider
from gateway.models.configuration.provider_credential import ProviderCredential
from gateway.models.configuration.ramp import Ramp
from gateway.models.configuration.safeguard_rule import SafeguardRule
from gateway.models.configuration.search_engine import SearchEngine
from gateway.models.configuration.shadow import Shadow
from gateway.models.configuration.sign_in import DeviceGrant, RefreshToken
from gateway.models.history.attempt import Attempt
from gateway.models.history.body_content import ContentBlob, ContentNode
from gateway.models.history.cache_miss import CacheMiss
from gateway.models.history.client_novelty import ClientNovelty
from gateway.models.history.follow_up import FollowUp, SearchText, SessionTotal
from gateway.models.history.former_use import FormerUse
from gateway.models.history.hourly_total import (
    CountedName,
    DailyOrigin,
    DailyTotal,
    HourlyLedger,
    HourlyOrigin,
    HourlyTotal,
)
from gateway.models.history.outcome_total import (
    CountedTool,
    CountedTurn,
    CountedUnit,
    DailyOutcome,
    DailyTool,
    HourlyOutcome,
    HourlyTool,
)
from gateway.models.history.refused_key import RefusedKey
from gateway.models.history.request_log import RequestBody, RequestLog
from gateway.models.history.safeguard_verdict import SafeguardVerdict
from gateway.models.history.token_factor import TokenFactor
from gateway.models.operation.emergency_stop import EmergencyStop
from gateway.models.operation.evaluation import Dataset, DatasetStep, Evaluation, EvaluationStep
from gateway.models.operation.lease import Lease
from gateway.models.operation.limit_counter import LimitCounter, LimitHold
from gateway.models.operation.notification import Delivery, Notice, NotificationChannel
from gateway.models.operation.problem import Problem, ProblemHour
from gateway.models.operation.saved_view import SavedView
from gateway.models.operation.serving_process import ServingProcess
from gateway.models.operation.set_aside_target import SetAsideTarget

__all__ = [
    "Attempt",
    "CacheMiss",
    "CapabilityResult",
    "ClientKey",
    "ClientNovelty",
    "ConfigRecord",
    "ConfigStamp",
    "ConformanceRun",
    "ContentBlob",
    "ContentNode",
    "ContentRead",
    "CountedName",
    "CountedTool",
    "CountedTurn",
    "CountedUnit",
    "DailyOrigin",
    "DailyOutcome",
    "DailyTool",
    "DailyTotal",
    "Dataset",
    "DatasetStep",
    "Decision",
    "Delivery",
    "DeviceGrant",
    "EmergencyStop",
    "EncryptedTextField",
    "Erasure",
    "Evaluation",
    "EvaluationStep",
    "FollowUp",
    "FormerUse",
    "HourlyLedger",
    "HourlyOrigin",
    "HourlyOutcome",
    "HourlyTool",
    "HourlyTotal",
    "LearntOption",
    "Lease",
    "LegalHold",
    "LimitCounter",
    "LimitHold",
    "ListedModel",
    "ManagedPolicy",
    "MappingTarget",
    "ModelMapping",
    "ModelPrice",
    "Notice",
    "NotificationChannel",
    "Origin",
    "PersonBudget",
    "Problem",
    "ProblemHour",
    "Provider",
    "ProviderCredential",
    "PurgeRun",
    "Ramp",
    "RefreshToken",
    "RefusedKey",
    "RequestBody",
    "RequestLog",
    "Retention",
    "SafeguardRule",
    "SafeguardVerdict",
    "SavedElsewhere",
    "SavedView",
    "Sealed",
    "SearchEngine",
    "SearchText",
    "SecretOriginField",
    "SecretPattern",
    "ServingProcess",
    "SessionTotal",
    "SetAsideTarget",
    "Shadow",
    "TokenFactor",
    "config_changed",
    "config_written",
    "is_left_behind",
]
