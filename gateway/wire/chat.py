"""Names for the shapes of Chat Completions. They stay dictionaries, because unknown fields must pass."""

from __future__ import annotations

from typing import Any

ChatRequestBody = dict[str, Any]
ChatMessage = dict[str, Any]
ChatCompletion = dict[str, Any]
ChatChunk = dict[str, Any]
