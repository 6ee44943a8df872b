// The list of requests: menus of filters that can be narrowed, and completion of the search language.
"use strict";

document.addEventListener("input", (event) => {
  const field = event.target.closest("[data-narrow]");
  if (!field) return;
  const typed = field.value.trim().toLowerCase();
  field.parentElement.querySelectorAll("li").forEach((one) => {
    one.hidden = !one.textContent.toLowerCase().includes(typed);
  });
});
// a menu closes when somebody goes on elsewhere
document.addEventListener("click", (event) => {
  document.querySelectorAll(".gw-menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  document.querySelectorAll(".gw-menu[open]").forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); });
});

document.addEventListener("DOMContentLoaded", () => {
  const data = document.getElementById("gw-fields"), box = document.getElementById("searchbar");
  if (!data || !box) return;
  const fields = JSON.parse(data.textContent);
  const list = document.createElement("ul");
  list.className = "gw-complete"; list.id = "gw-complete"; list.hidden = true;
  list.setAttribute("role", "listbox");
  box.closest("form").append(list);
  for (const [name, value] of Object.entries({ role: "combobox", "aria-expanded": "false", "aria-controls": "gw-complete", "aria-autocomplete": "list", autocomplete: "off" })) box.setAttribute(name, value);
  let at = -1;

  const word = () => {
    const before = box.value.slice(0, box.selectionStart);
    return before.slice(before.lastIndexOf(" ") + 1);
  };
  const offers = () => {
    const [name, value] = word().split(":");
    if (!name) return [];
    if (value === undefined) return fields.filter((one) => one.name.startsWith(name.toLowerCase())).map((one) => ({ text: `${one.name}:`, title: one.title }));
    const field = fields.find((one) => one.name === name.toLowerCase());
    return (field ? field.values : []).filter((one) => one.toLowerCase().startsWith(value.toLowerCase()) && one !== value).map((one) => ({ text: `${field.name}:${one}`, title: "" }));
  };
  const close = () => { list.hidden = true; at = -1; box.setAttribute("aria-expanded", "false"); box.removeAttribute("aria-activedescendant"); };
  const take = (text) => {
    const place = box.selectionStart, start = place - word().length;
    box.value = box.value.slice(0, start) + text + (text.endsWith(":") ? "" : " ") + box.value.slice(place).trimStart();
    box.focus();
    show();
  };
  function show() {
    const found = offers();
    list.replaceChildren(...found.slice(0, 12).map((one, number) => {
      const item = document.createElement("li");
      item.setAttribute("role", "option"); item.id = `gw-complete-${number}`;
      const name = document.createElement("b");
      name.textContent = one.text;
      item.append(name, one.title ? ` ${one.title}` : "");
      item.addEventListener("mousedown", (event) => { event.preventDefault(); take(one.text); });
      return item;
    }));
    at = -1;
    list.hidden = !found.length;
    box.setAttribute("aria-expanded", String(!list.hidden));
  }
  box.addEventListener("input", show);
  box.addEventListener("blur", close);
  box.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "Escape") { event.stopPropagation(); close(); return; }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      at = (at + (event.key === "ArrowDown" ? 1 : list.children.length - 1 + (at < 0 ? 1 : 0))) % list.children.length;
      [...list.children].forEach((one, number) => one.setAttribute("aria-selected", String(number === at)));
      list.children[at].scrollIntoView({ block: "nearest" });
      box.setAttribute("aria-activedescendant", list.children[at].id);
    } else if ((event.key === "Enter" || event.key === "Tab") && at >= 0) {
      event.preventDefault();
      take(list.children[at].querySelector("b").textContent);
    }
  });
});

// the words around what was searched for come after the list: they are read from the contents
document.addEventListener("DOMContentLoaded", async () => {
  const address = document.querySelector("[data-excerpts]")?.dataset.excerpts, rows = new Map();
  document.querySelectorAll("#result_list tbody tr").forEach((row) => {
    const number = row.querySelector("th a[href]")?.pathname.match(/requestlog\/(\d+)\//)?.[1];
    if (number) rows.set(number, row);
  });
  if (!address || !rows.size) return;
  const asked = new URLSearchParams({ q: new URLSearchParams(location.search).get("q") || "", pk: [...rows.keys()].join() });
  const answer = await fetch(`${address}?${asked}`, { credentials: "same-origin" }).catch(() => null);
  if (!answer?.ok) return;
  for (const [number, [before, hit, after]] of Object.entries(await answer.json())) {
    const row = rows.get(number), line = document.createElement("tr"), cell = document.createElement("td"), mark = document.createElement("mark");
    line.className = "gw-excerpt";
    cell.colSpan = row.cells.length;
    mark.textContent = hit;
    cell.append("… ", before, mark, after, " …");
    line.append(cell);
    row.after(line);
  }
});

// how many requests each value of a filter would leave, once somebody opens its menu
addEventListener("toggle", async (event) => {
  const menu = event.target;
  if (!menu.open || !menu.dataset?.of || menu.dataset.asked !== undefined) return;
  menu.dataset.asked = "";
  const asked = new URLSearchParams(location.search);
  asked.set("of", menu.dataset.of);
  const answer = await fetch(`${menu.dataset.counts}?${asked}`, { credentials: "same-origin" }).catch(() => null);
  if (!answer?.ok) return;
  const { counts, whole } = await answer.json();
  menu.querySelectorAll("[data-value]").forEach((choice) => {
    const number = counts[choice.dataset.value], shown = document.createElement("span");
    // what is not told apart has no number
    if (number === undefined) return;
    shown.className = "gw-muted gw-count";
    shown.textContent = (whole ? "" : "≥ ") + number.toLocaleString(document.documentElement.lang);
    choice.append(" ", shown);
  });
}, true);
