// The console's own behaviour on every page: copy buttons, and headings over columns of numbers.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("table").forEach((table) => {
    const row = table.querySelector("tbody tr.data-row, tbody tr");
    const heads = table.querySelectorAll("thead :is(th, td)");
    if (!row || heads.length !== row.cells.length) return;
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]).filter((one) => one.cells.length === heads.length);
    heads.forEach((head, at) => {
      const column = rows.map((one) => one.cells[at]);
      if (!column.some((cell) => cell.querySelector(":scope > .gw-num:only-child"))) return;
      // what is not known, or has no price, stands where the numbers do
      [head, ...column].forEach((cell) => cell.classList.add("gw-right"));
    });
    if (table.id !== "result_list") return;
    // on narrow screens each cell is named by its heading; the theme takes the first one for a checkbox
    rows.forEach((one) => [...one.cells].forEach((cell, at) => {
      const name = heads[at].querySelector(".text, a, span")?.textContent.trim();
      if (cell.dataset.label && name && !cell.querySelector(".action-select")) cell.dataset.label = name;
    }));
  });
});

// headings of the theme's that head nothing, and its scrolled boxes, which all have one name
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("thead th").forEach((head) => {
    if (!head.textContent.trim() && !head.querySelector("input, img, [aria-label]")) head.setAttribute("role", "cell");
  });
  const title = document.querySelector("h1")?.textContent.trim() || document.title;
  document.querySelectorAll("[data-simplebar]").forEach((box, at) => { box.dataset.simplebarAriaLabel = `${title} ${at + 1}`; });
});

// a table of a form has its labels in its heading alone: give them to the fields too
function nameFields(root) {
  root.querySelectorAll("td > * input, td > * select, td > * textarea, td > input, td > select").forEach((field) => {
    if (field.type === "hidden" || field.labels?.length || field.hasAttribute("aria-label") || field.hasAttribute("aria-labelledby")) return;
    const cell = field.closest("td");
    const head = cell.closest("table").tHead?.rows[0]?.cells[cell.cellIndex];
    const label = head && (head.querySelector("span > span, a") || head).textContent.trim();
    if (label) field.setAttribute("aria-label", label.replace(/\*$/, ""));
  });
}
document.addEventListener("DOMContentLoaded", () => nameFields(document));
document.addEventListener("formset:added", (event) => nameFields(event.target.closest("table") || event.target));

// the menus of Django's autocomplete are named by their value alone: name them by the field's label too
addEventListener("load", () => {
  document.querySelectorAll("select.select2-hidden-accessible").forEach((field) => {
    const label = field.labels?.[0];
    if (!label) return;
    label.id ||= `${field.id}_label`;
    field.nextElementSibling?.querySelectorAll("[role=combobox], [role=textbox]").forEach((part) => {
      part.setAttribute("aria-labelledby", `${label.id} ${part.getAttribute("aria-labelledby") || ""}`.trim());
    });
  });
});

// a box that scrolls sideways is reached by Tab while it is too narrow for what it holds
document.addEventListener("DOMContentLoaded", () => {
  const watch = new ResizeObserver((seen) => seen.forEach(({ target }) => {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }));
  document.querySelectorAll(".gw-scroll").forEach((box) => watch.observe(box));
});

// what the theme makes clickable without being a link or a button (the filters, the user's menu, light and dark)
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[x-on\\:click]:not(button, a[href], input, summary, label)").forEach((one) => {
    if (!one.textContent.trim() || one.querySelector("a[href], button, input, select, [x-on\\:click]")) return;
    if (!one.hasAttribute("tabindex")) one.tabIndex = 0;
    one.setAttribute("role", "button");
  });
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" && event.key !== " ") return;
  if (!event.target.matches("[role=button][x-on\\:click]")) return;
  event.preventDefault();
  event.target.click();
});

// <button data-copy="#id-of-what-to-copy" data-copied="Copied">: the text or value of that element
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  const text = "value" in source ? source.value : source.textContent;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // without HTTPS there is no clipboard: select it, so that the keyboard's copy does it
    const range = document.createRange();
    range.selectNodeContents(source);
    if (source.select) source.select();
    else { getSelection().removeAllRanges(); getSelection().addRange(range); }
    if (!document.execCommand("copy")) return;
  }
  button.textContent = button.dataset.copied || "✓";
  setTimeout(() => { button.textContent = label; }, 1600);
});

// <button data-download="#id" data-filename="name.csv">: the text of that element as a file
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-download]");
  if (!button) return;
  const text = document.querySelector(button.dataset.download).textContent;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = button.dataset.filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});

// a form with two days gives one range: from..to
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-range]");
  if (!form) return;
  const [from, to] = ["from", "to"].map((name) => form.querySelector(`[data-${name}]`).value);
  if (!from && !to) { event.preventDefault(); return; }
  form.elements.range.value = `${from}..${to}`;
});
document.addEventListener("DOMContentLoaded", () => {
  const [from, to] = (new URLSearchParams(location.search).get("range") || "").split("..");
  document.querySelectorAll("form[data-range]").forEach((form) => {
    if (to === undefined) return;
    form.querySelector("[data-from]").value = from.slice(0, 10);
    form.querySelector("[data-to]").value = to.slice(0, 10);
  });
});

// <div data-refresh="address">: a piece of a page that looks for itself, while somebody sees it
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-refresh]").forEach((piece) => {
    setInterval(async () => {
      // whoever is about to follow a link in it is not disturbed
      if (document.hidden || piece.matches(":hover, :focus-within")) return;
      try {
        const answer = await fetch(piece.dataset.refresh, { credentials: "same-origin", redirect: "error" });
        const text = answer.ok ? await answer.text() : null;
        if (text !== null && text.trim() !== piece.innerHTML.trim()) piece.innerHTML = text;
      } catch { /* the next look may succeed */ }
    }, 15000);
  });
});

// a page that takes its time: after a moment a bar at the top says that the click was taken
(() => {
  const MOMENT = 100, LONGEST = 20000;
  let timer, end;
  const stop = () => {
    clearTimeout(timer); clearTimeout(end);
    delete document.documentElement.dataset.waiting;
  };
  const wait = () => {
    stop();
    timer = setTimeout(() => { document.documentElement.dataset.waiting = ""; }, MOMENT);
    end = setTimeout(stop, LONGEST);
  };
  addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    // a file leaves the page where it is
    if (link.hasAttribute("download") || (link.target && link.target !== "_self") || link.origin !== location.origin) return;
    if (link.hash && link.pathname + link.search === location.pathname + location.search) return;
    wait();
  });
  addEventListener("submit", (event) => {
    if (!event.defaultPrevented && !event.target.hasAttribute("data-file") && event.target.method !== "dialog") wait();
  });
  addEventListener("pagehide", stop);
  addEventListener("pageshow", stop);
})();
