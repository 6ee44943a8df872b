"""The system prompt and system messages (docs/conversion.md, "System text")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from gateway.conversion.blocks.chat_parts import content, text_part
from gateway.conversion.cache_control import CacheMarkers
from gateway.conversion.profile import Profile
from gateway.conversion.request_context import RequestContext
from gateway.conversion.requests.messages.turns import Turn
from gateway.wire.chat import ChatPart, SystemMessage, SystemRole
from gateway.wire.messages_request import System, SystemBlock
from gateway.wire.request_cache import Part

# targets of one conversation whose messages are kept
_MOST_KNOWN: Final = 4

# Claude Code's first system block: meant for Anthropic's accounting and different for each conversation,
# so that in front of everything it would defeat every provider's prompt cache.
ATTRIBUTION: Final = "x-anthropic-billing-header:"


def leading_system_message(
    system: System, additions: Sequence[str], context: RequestContext, part: Part | None = None
) -> SystemMessage | None:
    """The system message for the top-level `system` and texts of other facets; None when all is blank.

    `part`: `system`, when it is remembered. Then nobody may change the message.
    """
    if part is None:
        return _leading(system, additions, context)
    known: list[_Known] = part.work or []
    found = next((one for one in known if one.fits(additions, context)), None)
    if found is None:
        apart = context.apart()
        found = _Known(context.profile, list(additions), _leading(system, additions, apart), apart.markers)
        part.work = [*known[1 - _MOST_KNOWN :], found]
    context.markers.join(found.markers)
    return found.message


class _Known(NamedTuple):
    """The message that was made for a profile with these additions."""

    profile: Profile
    additions: list[str]
    message: SystemMessage | None
    markers: CacheMarkers

    def fits(self, additions: Sequence[str], context: RequestContext) -> bool:
        return self.profile is context.profile and self.additions == additions


def _leading(system: System, additions: Sequence[str], context: RequestContext) -> SystemMessage | None:
    parts: list[ChatPart] = []
    for block in _text_blocks(system, strip_attribution=context.profile.strip_attribution):
        if block["text"].strip():
            part = text_part(block["text"])
            context.markers.put(part, block)
            parts.append(part)
    parts += [text_part(text) for text in additions]
    if not parts:
        return None
    whole = content(parts, always_parts=context.markers.in_lists)
    context.markers.end(whole)
    return _message(whole, context)


def mid_system_message(turn: Turn, context: RequestContext) -> SystemMessage:
    """The message of a system turn that keeps its place in the conversation."""
    parts: list[ChatPart] = []
    for located in turn.blocks:
        part = text_part(located.block["text"])
        context.markers.put(part, located.block)
        parts.append(part)
    whole = content(parts, always_parts=context.markers.in_lists)
    return _message(whole, context)


def _message(said: str | list[ChatPart], context: RequestContext) -> SystemMessage:
    # the schema of the option allows no other
    return {"role": cast(SystemRole, context.profile.system_role), "content": said}


def without_attribution(system: str | list[SystemBlock]) -> str | list[SystemBlock]:
    """A checked top-level `system` without the client's attribution line, if it begins with one."""
    if isinstance(system, str):
        return system.partition("\n")[2] if system.startswith(ATTRIBUTION) else system
    return system[1:] if system and system[0]["text"].startswith(ATTRIBUTION) else system


def _text_blocks(system: System, *, strip_attribution: bool) -> list[SystemBlock]:
    if not system:
        return []
    kept = without_attribution(system) if strip_attribution else system
    return [{"type": "text", "text": kept}] if isinstance(kept, str) else kept
