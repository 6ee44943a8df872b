"""A conversation that tries everything against whoever looks at it.

`REQUEST` and `ANSWER` are a Messages request and a message; whatever shows them must
load nothing, run nothing, and hide nothing. `TRIPWIRES` are texts that may occur in a
page only escaped. Addresses are at `HOST`, which nobody serves: a browser that asks
for it has been tricked.
"""

HOST = "hostile.invalid"
SCRIPT = "<script>window.tripped = 1; alert('tripped')</script>"
IMAGE_TAG = f'<img src="http://{HOST}/pixel.png" onerror="alert(1)">'
SVG = "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIG9ubG9hZD0iYWxlcnQoMSkiLz4="
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
MARKDOWN = [
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](java\tscript:alert(1))",
    "[click](&#106;avascript:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[click](vbscript:msgbox(1))",
    "[click](file:///etc/passwd)",
    "[click](//" + HOST + "/protocol-relative)",
    "<javascript:alert(1)>",
    f"![remote](http://{HOST}/image.png)",
    f"![remote][ref]\n\n[ref]: http://{HOST}/ref.png",
    f'[link](http://{HOST}/ "title\\" onmouseover=alert(1)")',
    f'<a href="javascript:alert(1)">x</a> <iframe src="http://{HOST}/"></iframe>',
    f'<style>@import "http://{HOST}/x.css"</style><link rel=stylesheet href="http://{HOST}/x.css">',
    f'<form action="http://{HOST}/"><input name=q></form><meta http-equiv=refresh content="0;url=http://{HOST}/">',
    "```html\n" + SCRIPT + "\n```",
    "`" + SCRIPT + "`",
    "| a |\n|---|\n| " + SCRIPT + " |",
    "</pre></details></div>" + SCRIPT,
    "{{ 7|add:7 }} {% debug %} ${7*7}",
]
CONTROL = "bell\x07 escape\x1b[31m nul\x00 backspace\x08 c1\x9b delete\x7f"
DIRECTION = "user\u202etxt.exe \u2066isolate\u2069 \u200bzero\u200d width\ufeff"
# half surrogate pairs cannot be encoded; JSON can carry them
BROKEN = "half \ud83d pair \udc00"
LONG = "0123456789abcdef " * 300_000

TRIPWIRES = (
    SCRIPT,
    IMAGE_TAG,
    "<iframe",
    '<form action="http://' + HOST,
    "<meta http-equiv",
    "<style>@import",
)


def _image(media_type, data):
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


REQUEST = {
    "model": SCRIPT,
    "max_tokens": 100,
    "system": [{"type": "text", "text": SCRIPT + IMAGE_TAG}],
    "tools": [{"name": SCRIPT, "description": IMAGE_TAG, "input_schema": {"type": "object"}}],
    "metadata": {"user_id": SCRIPT},
    "messages": [
        {"role": "user", "content": SCRIPT + IMAGE_TAG},
        {"role": "assistant", "content": [{"type": "text", "text": text} for text in MARKDOWN]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": CONTROL},
                {"type": "text", "text": DIRECTION},
                {"type": "text", "text": BROKEN},
                _image("image/svg+xml", SVG),
                _image("image/png", SVG),
                _image("text/html", "PHNjcmlwdD4="),
                _image('image/png"onerror="alert(1)', PIXEL),
                _image("image/png", PIXEL + '" onerror="alert(1)'),
                {"type": "image", "source": {"type": "url", "url": f"http://{HOST}/remote.png"}},
                {"type": "image", "source": {"type": "url", "url": "javascript:alert(1)"}},
                {"type": SCRIPT, "x": IMAGE_TAG},
                SCRIPT,
                None,
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": SCRIPT + DIRECTION, "signature": SCRIPT},
                {"type": "tool_use", "id": "toolu_1", "name": SCRIPT, "input": {SCRIPT: IMAGE_TAG}},
                {"type": "tool_use", "id": "toolu_2", "name": "Read", "input": SCRIPT},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": SCRIPT},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": [{"type": "text", "text": IMAGE_TAG}, _image("image/png", PIXEL)],
                },
                {"type": "tool_result", "tool_use_id": SCRIPT, "content": {"type": "text", "text": SCRIPT}},
                {"type": "document", "title": SCRIPT, "source": {"type": "url", "url": f"http://{HOST}/x.pdf"}},
                {"type": "text", "text": LONG},
            ],
        },
        "no message",
        {"role": SCRIPT, "content": {"type": "text"}},
    ],
}  # fmt: skip
ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": SCRIPT,
    "content": [
        {"type": "thinking", "thinking": SCRIPT},
        *({"type": "text", "text": text} for text in MARKDOWN),
        {"type": "tool_use", "id": "t", "name": SCRIPT, "input": {"x": IMAGE_TAG}},
    ],
    "stop_reason": SCRIPT,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
