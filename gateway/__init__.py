"""ccproxy's gateway: Messages API in, OpenAI-compatible providers out. The packages, in reading order:

errors      every error as one tree
wire        how bytes and JSON look, no meaning
conversion  what one protocol means in the other: pure functions and one state machine
routing     where a request goes: frozen snapshot of the configuration, resolve()
security    client keys and the encryption of credentials
models      the records that admins edit, and the history
config      records -> snapshot, environment and presets -> records
upstream    talking to providers; the only HTTP client
history     what happened: outcomes, capture policy, the recorder
relay       one exchange from arrival to end
api, admin  HTTP for clients, HTTP for people
"""

# the release, for the package, the command and the metrics; CHANGELOG.md says what is in it
__version__ = "0.1.0"
