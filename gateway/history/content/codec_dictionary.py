"""The dictionary of zstd: what stored texts have in common.

Most stored texts are small, and all have the shapes of two protocols, so half of each would be names of
fields. NEVER CHANGE THIS TEXT: what was stored with it can be read only with it. Another dictionary
would need a name of its own in the stored data.
"""

from __future__ import annotations

from typing import Final

# the most frequent shapes come last, where a reference to them takes the fewest bits
DICTIONARY: Final = b"""\
"accept":"application/json","accept-encoding":"gzip, deflate, br, zstd","anthropic-version":"2023-06-01",\
"anthropic-beta":"claude-code-20250219,oauth-2025-04-20,interleaved-thinking-2025-05-14,\
context-management-2025-06-27,prompt-caching-scope-2026-01-05,effort-2025-11-24",\
"anthropic-dangerous-direct-browser-access":"true","authorization":"[masked]","x-api-key":"[masked]",\
"connection":"keep-alive","content-length":"","content-type":"application/json","host":"127.0.0.1:8082",\
"user-agent":"claude-cli/2.1.197 (external, cli)","x-app":"cli","x-claude-code-session-id":"",\
"x-claude-code-agent-id":"","x-claude-code-parent-agent-id":"","x-stainless-arch":"x64",\
"x-stainless-lang":"js","x-stainless-os":"Linux","x-stainless-package-version":"0.94.0",\
"x-stainless-retry-count":"0","x-stainless-runtime":"node","x-stainless-runtime-version":"v24.3.0",\
"x-stainless-timeout":"600","x-stainless-helper-method":"stream"\
{"headers":{"request":{"accept":"application/json","received":{"rest":{"model":"claude-opus-4-8",\
"messages":null,"system":null,"tools":null,"metadata":{"user_id":"{\\"device_id\\":\\"\\",\
\\"account_uuid\\":\\"\\",\\"session_id\\":\\"-0000-4000-8000-\\"}"},"max_tokens":64000,\
"thinking":{"type":"adaptive"},"thinking":{"type":"enabled","budget_tokens":31999},\
"context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]},\
"output_config":{"effort":"high"},"stream":true},"base":[["system",3],["tools",null]],\
"chain":["messages",10],"marks":[[0,0,2,"cache_control",{"type":"ephemeral"}]]},\
"sent":{"rest":{"model":"gpt-5","messages":null,"max_completion_tokens":64000,"max_tokens":64000,\
"stream":true,"stream_options":{"include_usage":true},"tools":null,"tool_choice":"auto",\
"parallel_tool_calls":true,"reasoning_effort":"high","prompt_cache_key":""},"base":[["tools",null]],\
"chain":["messages",10]}}\
{"role":"system","content":[{"type":"text","text":"<system-reminder>\\n\\n</system-reminder>\\n"}]}\
{"role":"user","content":[{"type":"text","text":""},{"type":"image","source":{"type":"base64",\
"media_type":"image/png","data":""}}]}{"role":"assistant","content":[{"type":"thinking","thinking":"",\
"signature":""},{"type":"text","text":""},{"type":"tool_use","id":"toolu_01","name":"Bash",\
"input":{"command":"","description":""}},{"type":"tool_use","id":"toolu_01","name":"Edit",\
"input":{"replace_all":false,"file_path":"/home/","old_string":"","new_string":""}},{"type":"tool_use",\
"id":"toolu_01","name":"Read","input":{"file_path":"/home/","limit":2000}}]}{"role":"user",\
"content":[{"tool_use_id":"toolu_01","type":"tool_result","content":[{"type":"text","text":""}],\
"is_error":false}]}{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_01",\
"content":""}]}{"role":"assistant","content":null,"tool_calls":[{"id":"call_","type":"function",\
"function":{"name":"Bash","arguments":"{\\"command\\": \\"\\", \\"description\\": \\"\\"}"}}]}\
{"role":"assistant","content":"","tool_calls":[{"id":"toolu_01","type":"function","function":\
{"name":"Read","arguments":"{\\"file_path\\": \\"/home/\\", \\"limit\\": 200}"}}]}{"role":"tool",\
"tool_call_id":"toolu_01","content":""}\
{"id":"chatcmpl-","object":"chat.completion","created":1764000000,"model":"gpt-5","choices":[{"index":0,\
"message":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":"stop"}],\
"usage":{"prompt_tokens":,"completion_tokens":,"total_tokens":,"prompt_tokens_details":\
{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"system_fingerprint":""}
data: {"id":"chatcmpl-","object":"chat.completion.chunk","created":1764000000,"model":"gpt-5",\
"system_fingerprint":null,"choices":[{"index":0,"delta":{"role":"assistant","content":null,\
"reasoning_content":"","tool_calls":[{"index":0,"id":"call_","type":"function","function":{"name":"",\
"arguments":""}}]},"logprobs":null,"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-","object":"chat.completion.chunk","created":1764000000,"model":"gpt-5",\
"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: {"id": "chatcmpl-", "object": "chat.completion.chunk", "created": 1764000000, "model": "", \
"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": null}]}

data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}

data: [DONE]

event: message_start
data: {"type":"message_start","message":{"id":"msg_","type":"message","role":"assistant",\
"model":"claude-opus-4-8","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,\
"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}

event: ping
data: {"type":"ping"}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"",\
"signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":""}}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_01",\
"name":"","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},\
"usage":{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},\
"usage":{"output_tokens":0}}

event: message_stop
data: {"type":"message_stop"}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}

"""
