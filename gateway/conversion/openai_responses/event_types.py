"""The types of events of a Responses stream, and the method of ResponsesStream that reads each."""

from __future__ import annotations

from typing import Final

READER_OF: Final[dict[str, str]] = {
    "response.created": "_listening",
    "response.in_progress": "_listening",
    "response.queued": "_listening",
    "response.output_item.added": "_added",
    "response.output_item.done": "_done",
    "response.content_part.added": "_part_begun",
    "response.content_part.done": "_part_ended",
    "response.reasoning_summary_part.added": "_part_begun",
    "response.reasoning_summary_part.done": "_part_ended",
    "response.reasoning_summary_text.done": "_thought_done",
    "response.reasoning_text.done": "_thought_done",
    "response.output_text.delta": "_text_delta",
    "response.output_text.done": "_text_done",
    "response.text.delta": "_text_delta",
    "response.text.done": "_text_done",
    "response.refusal.done": "_text_done",
    "response.function_call_arguments.done": "_arguments_done",
    "response.output_text.annotation.added": "_annotated",
    "response.refusal.delta": "_refusal_delta",
    "response.reasoning_summary_text.delta": "_summary_delta",
    "response.reasoning_text.delta": "_reasoning_delta",
    "response.function_call_arguments.delta": "_arguments_delta",
    "response.completed": "_completed",
    "response.done": "_completed",
    "response.incomplete": "_completed",
    "response.failed": "_failed",
    "response.cancelled": "_failed",
}
