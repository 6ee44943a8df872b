// The live tail: rows by request id, the newest at the top, texts only as texts.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const MOST = 200;
  const page = document.getElementById("live");
  const body = document.getElementById("live-rows");
  const state = document.getElementById("live-state");
  const pause = document.getElementById("live-pause");
  const filter = document.getElementById("live-filter");
  const rows = new Map(); // request id -> {facts, element}
  let paused = false;
  let held = new Map(); // what came while it was paused
  let wait = 1000;

  const words = JSON.parse(document.getElementById("live-words").textContent); // {ms, s, states}
  const locale = document.documentElement.lang;
  const seconds = (ms) => (ms == null ? "–"
    : ms < 1000 ? `${ms} ${words.ms}` : `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} ${words.s}`);
  const count = (value) => (value == null ? "–" : value.toLocaleString(locale));
  const stateWord = (facts) => words.states[facts.state] || facts.state;
  const tone = (facts) =>
    ({ open: "info", ok: "good", cancelled: "warn", interrupted: "warn" })[facts.state] || (facts.status < 500 ? "warn" : "bad");

  function cells(facts) {
    const models = facts.upstream_model && facts.upstream_model !== facts.asked_model
      ? `${facts.asked_model} → ${facts.upstream_model}` : facts.asked_model || "–";
    const about = facts.state === "open" && facts.output_tokens ? "≈ " : "";
    return [
      new Date(facts.started_at).toLocaleTimeString(locale, { hour12: false }), "", facts.key_name || "–", models, facts.provider || "–",
      seconds(facts.first_byte_ms), seconds(facts.duration_ms),
      facts.input_tokens == null && facts.output_tokens == null ? "–"
        : `${count(facts.input_tokens)} + ${about}${count(facts.output_tokens)}`,
      facts.stop_reason || facts.error_type || "–", (facts.tools_called || []).join(", ") || "–",
    ];
  }

  function draw(row) {
    const { facts, element } = row;
    cells(facts).forEach((text, at) => {
      const cell = element.cells[at];
      if (at === 0) {
        cell.firstChild.textContent = text;
      } else if (at === 1) {
        const ended = facts.state === "ok" || facts.state === "error";
        cell.firstChild.textContent = (ended && facts.status) || stateWord(facts);
        cell.firstChild.className = `gw-badge gw-${tone(facts)}`;
      } else if (cell.textContent !== text) {
        cell.textContent = text;
      }
    });
    element.classList.toggle("gw-moving", facts.state === "open");
    element.hidden = !fits(facts);
  }

  function make(facts) {
    const element = document.createElement("tr");
    for (let at = 0; at < 10; at += 1) {
      const cell = element.insertCell();
      if (at >= 5 && at <= 7) cell.className = "gw-right gw-num";
    }
    const link = document.createElement("a");
    link.className = "gw-link";
    link.href = `${page.dataset.page}?q=${encodeURIComponent(facts.request_id)}`;
    link.title = facts.request_id;
    element.cells[0].append(link);
    element.cells[1].append(document.createElement("span"));
    body.prepend(element);
    return { facts: {}, element };
  }

  function fits(facts) {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = [facts.request_id, facts.key_name, facts.asked_model, facts.upstream_model, facts.provider,
      facts.session_id, facts.state, stateWord(facts), facts.status, facts.stop_reason, facts.error_type,
      ...(facts.tools_called || [])].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  }

  function take(facts) {
    let row = rows.get(facts.request_id);
    if (!row) {
      // progress of a stream that began before this page was opened says too little
      if (!facts.started_at) return;
      row = make(facts);
      rows.set(facts.request_id, row);
    }
    // progress that was overtaken by the end
    if (!facts.started_at && row.facts.state && row.facts.state !== "open") return;
    Object.assign(row.facts, facts);
    draw(row);
    if (rows.size > MOST) {
      const [oldest] = rows.keys();
      rows.get(oldest).element.remove();
      rows.delete(oldest);
    }
  }

  function takeAll(list) {
    for (const facts of list) {
      if (paused) held.set(facts.request_id, { ...held.get(facts.request_id), ...facts });
      else take(facts);
    }
    while (held.size > MOST) held.delete(held.keys().next().value);
    show();
  }

  function show() {
    document.getElementById("live-empty").hidden = rows.size > 0;
    document.getElementById("live-count").textContent = paused && held.size ? `+${held.size}` : "";
  }

  function say(kind, text) {
    state.className = `gw-badge gw-${kind}`;
    state.textContent = text;
  }

  function connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${page.dataset.socket}`);
    socket.onopen = () => { wait = 1000; say("good", state.dataset.on); };
    socket.onmessage = (message) => takeAll(JSON.parse(message.data).rows);
    socket.onclose = (closing) => {
      // the session has ended: to try again would be refused
      if (closing.code === 4403) { say("bad", state.dataset.over); return; }
      say("warn", state.dataset.off);
      setTimeout(connect, wait);
      wait = Math.min(wait * 2, 30000);
    };
  }

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? pause.dataset.goOn : pause.dataset.pause;
    if (!paused) { const list = [...held.values()]; held = new Map(); takeAll(list); }
    show();
  });
  filter.addEventListener("input", () => rows.forEach((row) => { row.element.hidden = !fits(row.facts); }));

  takeAll(JSON.parse(document.getElementById("live-latest").textContent));
  connect();
});
