// Loads the next portion of a transcript when its end comes into view. Without it the link leads there.
"use strict";
(() => {
  const transcript = document.querySelector(".gw-transcript");
  if (!transcript || !("IntersectionObserver" in window)) return;
  const ahead = new IntersectionObserver((seen) => {
    for (const entry of seen) if (entry.isIntersecting) load(entry.target);
  }, { rootMargin: "600px" });

  async function load(more) {
    ahead.unobserve(more);
    const link = more.querySelector("a");
    const waiting = Object.assign(document.createElement("span"), { className: "gw-spinner" });
    waiting.setAttribute("role", "status");
    more.append(waiting);
    try {
      const answer = await fetch(`${link.href}&alone=1`);
      if (!answer.ok) throw new Error(answer.statusText);
      const portion = document.createElement("template");
      portion.innerHTML = await answer.text();
      more.replaceWith(portion.content);
      watch();
    } catch {
      // the link stays, and asks again
      waiting.remove();
    }
  }

  function watch() {
    for (const more of transcript.querySelectorAll(".gw-more")) ahead.observe(more);
  }

  watch();
})();
