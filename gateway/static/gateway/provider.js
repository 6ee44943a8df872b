// The provider's pages: presets fill the form, and the connection is tested before saving.
"use strict";

(() => {
  const data = document.getElementById("gw-presets");
  const field = (name) => document.querySelector(`[name="${name}"]`);

  function fillFrom(presets) {
    const chooser = field("preset");
    if (!chooser) return;
    const labels = Object.values(presets).map((preset) => preset.label);
    const endpoints = Object.values(presets).flatMap((preset) => preset.endpoints);
    const urls = endpoints.map((endpoint) => endpoint.base_url);
    const note = document.createElement("div");
    note.className = "gw-note gw-info";
    note.setAttribute("aria-live", "polite");
    chooser.closest("div").after(note);

    // what the admin typed stays; what is empty or came from another preset is replaced
    const replace = (input, value, known) => {
      if (input && (!input.value || known.includes(input.value))) {
        input.value = value;
        input.dispatchEvent(new Event("change", { bubbles: true }));
        input.dispatchEvent(new KeyboardEvent("keyup", { bubbles: true }));
      }
    };
    const protocol = field("protocol");
    const spoken = (preset) =>
      preset.endpoints.find((one) => one.protocol === (protocol ? protocol.value : "")) || preset.endpoints[0];
    const show = (filling) => {
      const preset = presets[chooser.value];
      if (!preset) return;
      if (filling && protocol && preset.endpoints.every((one) => one.protocol !== protocol.value)) protocol.value = "";
      note.textContent = [preset.note, spoken(preset).note].filter(Boolean).join(" ");
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
          list.append(item);
        }
        note.append(list);
      }
      note.hidden = !note.textContent;
      if (!filling) return;
      replace(field("name"), preset.label, labels);
      replace(field("base_url"), spoken(preset).base_url, urls);
      const url = field("base_url");
      const place = url && url.value.match(/\{(?!model\})[a-z_]+\}/);
      if (place) { url.focus(); url.setSelectionRange(place.index, place.index + place[0].length); }
      else if (preset.needs_key) field("credentials-0-value")?.focus({ preventScroll: true });
    };
    chooser.addEventListener("change", () => show(true));
    protocol?.addEventListener("change", () => show(true));
    // a form that came back with errors is shown as it was sent
    const sent = document.querySelector("[aria-invalid=true]");
    show(!sent && !document.querySelector("[name=slug]")?.value && !!field("name") && !field("name").value);
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
