"""The history in the console: the list of requests, the page of one, exports, replays."""
