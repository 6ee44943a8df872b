"""The records: what admins edit, and the history."""

from gateway.models.attempt import Attempt
from gateway.models.base import ConfigRecord, ConfigStamp, EncryptedTextField, Origin, Sealed, config_changed
from gateway.models.body_content import ContentBlob, ContentNode
from gateway.models.client_key import ClientKey
from gateway.models.follow_up import FollowUp, SearchText, SessionTotal
from gateway.models.hourly_total import CountedName, HourlyLedger, HourlyTotal
from gateway.models.model_mapping import MappingTarget, ModelMapping
from gateway.models.model_price import ModelPrice
from gateway.models.provider import Provider, ProviderCredential
from gateway.models.request_log import RequestBody, RequestLog

__all__ = [
    "Attempt",
    "ClientKey",
    "ConfigRecord",
    "ConfigStamp",
    "ContentBlob",
    "ContentNode",
    "CountedName",
    "EncryptedTextField",
    "FollowUp",
    "HourlyLedger",
    "HourlyTotal",
    "MappingTarget",
    "ModelMapping",
    "ModelPrice",
    "Origin",
    "Provider",
    "ProviderCredential",
    "RequestBody",
    "RequestLog",
    "Sealed",
    "SearchText",
    "SessionTotal",
    "config_changed",
]
