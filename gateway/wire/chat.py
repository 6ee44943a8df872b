"""Names for Chat Completions' shapes. They stay dictionaries, because fields we do not know must pass."""

from __future__ import annotations

from typing import Any

ChatRequestBody = dict[str, Any]
ChatMessage = dict[str, Any]
ChatCompletion = dict[str, Any]
ChatChunk = dict[str, Any]
