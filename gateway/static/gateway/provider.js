// The provider's pages: presets fill the form, and the connection is tested before saving.
"use strict";

(() => {
  const data = document.getElementById("gw-presets");
  const field = (name) => document.querySelector(`[name="${name}"]`);

  function fillFrom(presets) {
    const chooser = field("preset");
    if (!chooser) return;
    const isNew = !field("slug")?.defaultValue;
    const labels = Object.values(presets).map((preset) => preset.label);
    const endpoints = Object.values(presets).flatMap((preset) => preset.endpoints);
    const urls = endpoints.map((endpoint) => endpoint.base_url);
    const note = document.createElement("div");
    note.className = "gw-note gw-info";
    note.setAttribute("aria-live", "polite");
    chooser.closest("div").after(note);

    // 44 presets in a list: a word of the name, the address or the kind leaves those that have it
    const search = document.createElement("input");
    search.type = "search"; search.className = "gw-input"; search.autocomplete = "off";
    search.placeholder = document.getElementById("gw-preset-search").dataset.label;
    search.setAttribute("aria-label", search.placeholder);
    chooser.before(search);
    search.addEventListener("input", () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let first = null;
      for (const option of chooser.options) {
        const preset = presets[option.value];
        const text = [option.textContent, option.value, option.parentNode.label, preset?.base_url, preset?.label].join(" ").toLowerCase();
        option.hidden = !words.every((word) => text.includes(word));
        if (!option.hidden && option.value) first ??= option;
      }
      for (const group of chooser.querySelectorAll("optgroup")) {
        group.hidden = [...group.children].every((option) => option.hidden);
      }
      const chosen = chooser.selectedOptions[0];
      // a saved provider keeps its preset until somebody chooses another one
      if (isNew && words.length && first && (!chosen || chosen.hidden)) {
        chooser.value = first.value;
        chooser.dispatchEvent(new Event("change", { bubbles: true }));
      }
    });
    search.addEventListener("keydown", (event) => {
      // Enter chooses, and does not send the form
      if (event.key === "Enter") { event.preventDefault(); chooser.focus(); }
    });

    // what the script filled in, it may replace; what somebody typed or saved stays
    const filled = new Set();
    const fill = (input, value, known) => {
      if (!input || (input.value && !filled.has(input.value) && !known.includes(input.value))) return;
      input.value = value;
      filled.add(value);
      input.dispatchEvent(new Event("change", { bubbles: true }));
      input.dispatchEvent(new KeyboardEvent("keyup", { bubbles: true }));
    };
    const protocol = field("protocol");
    const spoken = (preset) => preset.endpoints.find((one) => one.protocol === (protocol ? protocol.value : ""));
    const describe = (preset) => {
      note.textContent = [preset.note, spoken(preset)?.note].filter(Boolean).join(" ");
      if (preset.docs) {
        const link = document.createElement("a");
        link.href = preset.docs; link.rel = "noreferrer"; link.target = "_blank"; link.className = "gw-link";
        link.textContent = preset.docs_label;
        note.append(" ", link);
      }
      if (preset.endpoints.length > 1) {
        const list = document.createElement("ul");
        for (const one of preset.endpoints) {
          const item = document.createElement("li");
          const url = document.createElement("code");
          url.textContent = one.base_url;
          item.append(one.label + (one.recommended ? ` (${one.recommended})` : "") + ": ", url);
          if (one.recommended && protocol && one.protocol !== protocol.value) {
            const take = document.createElement("button");
            take.type = "button"; take.className = "gw-button gw-small"; take.textContent = preset.take;
            take.addEventListener("click", () => {
              protocol.value = one.protocol;
              protocol.dispatchEvent(new Event("change", { bubbles: true }));
            });
            item.append(" ", take);
          }
          list.append(item);
        }
        note.append(list);
      }
      note.hidden = !note.textContent;
    };
    const choosePreset = () => {
      const preset = presets[chooser.value];
      if (!preset) return;
      // another service: its own protocol, unless it has an endpoint for the one that is set
      if (protocol && !spoken(preset)) protocol.value = "";
      describe(preset);
      fill(field("name"), preset.label, isNew ? labels : []);
      fill(field("base_url"), (spoken(preset) || preset.endpoints[0]).base_url, urls);
      const url = field("base_url");
      const place = url && url.value.match(/\{(?!model\})[a-z_]+\}/);
      if (place) { url.focus(); url.setSelectionRange(place.index, place.index + place[0].length); }
    };
    const chooseProtocol = () => {
      const preset = presets[chooser.value];
      if (!preset) return;
      describe(preset);
      // only where this service has an endpoint of its own for the protocol, and stands at another of its own
      if (spoken(preset)) fill(field("base_url"), spoken(preset).base_url, preset.endpoints.map((one) => one.base_url));
    };
    chooser.addEventListener("change", choosePreset);
    protocol?.addEventListener("change", chooseProtocol);
    // a form that came back with errors is shown as it was sent
    const sent = document.querySelector("[aria-invalid=true]");
    if (!sent && isNew && field("name") && !field("name").value) choosePreset();
    else if (presets[chooser.value]) describe(presets[chooser.value]);
  }

  // each provider of the list in turn; the row says how it went, and the page of its test the rest
  function testAll(button) {
    if (button) button.closest("p").hidden = false;
    button?.addEventListener("click", async () => {
      const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
      button.disabled = true;
      for (const link of document.querySelectorAll("a[data-test-one]")) {
        const said = document.createElement("span");
        said.setAttribute("role", "status");
        said.textContent = " …";
        link.parentNode.querySelector("[role=status]")?.remove();
        link.after(said);
        try {
          const body = new URLSearchParams({ csrfmiddlewaretoken: token });
          const answer = await fetch(link.href, { method: "POST", body, credentials: "same-origin" });
          if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
          const page = new DOMParser().parseFromString(await answer.text(), "text/html");
          const worst = page.querySelector(".gw-bad, .gw-warn") || page.querySelector(".gw-badge");
          said.className = worst ? worst.className : "gw-badge";
          said.textContent = worst ? worst.textContent : "?";
        } catch (problem) {
          said.className = "gw-badge gw-bad";
          said.textContent = String(problem.message || problem);
        }
      }
      button.disabled = false;
    });
  }

  async function test(button, url, form) {
    const result = document.querySelector("[data-test-result]");
    const label = button.textContent;
    button.disabled = true;
    button.textContent = button.dataset.busy;
    result.innerHTML = '<p><span class="gw-spinner" aria-hidden="true"></span></p>';
    result.querySelector("p").append(" ", button.dataset.busy);
    try {
      const answer = await fetch(url, { method: "POST", body: new FormData(form), credentials: "same-origin" });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      result.innerHTML = await answer.text();
    } catch (problem) {
      result.textContent = String(problem.message || problem);
    }
    button.disabled = false;
    button.textContent = label;
    // it stands at the end of a long form, and the bar with Save would lie over it
    result.scrollIntoView({ block: "nearest" });
  }

  // who opens the page of the models wants to see them
  const load = document.querySelector("[data-load-at-once]");
  if (load) load.requestSubmit(load.querySelector("[name=load]"));
  testAll(document.querySelector("[data-test-all]"));
  if (data) fillFrom(JSON.parse(data.textContent));
  document.querySelector("[data-test-url]")?.addEventListener("click", (event) => {
    test(event.currentTarget, event.currentTarget.dataset.testUrl, event.currentTarget.form);
  });
  document.querySelector("[data-test-form]")?.addEventListener("submit", (event) => {
    event.preventDefault();
    test(event.submitter || event.target.querySelector("button"), location.href, event.target);
  });
})();

// the matrix of a conformance run, until the run has ended
(() => {
  const matrix = document.querySelector("[data-matrix]");
  const running = () => matrix.querySelector("[data-running='1']");
  async function look() {
    try {
      const answer = await fetch("?piece=1", { credentials: "same-origin" });
      if (answer.ok) matrix.innerHTML = await answer.text();
    } catch { /* the next look may succeed */ }
    if (running()) setTimeout(look, 1500);
  }
  if (matrix && running()) setTimeout(look, 1000);
})();
