// The page of a request marks the words that its list was searched for, and goes from one place to the next.
const words = JSON.parse(document.getElementById("gw-words").textContent);
const bar = document.querySelector("[data-hits]"), tab = document.getElementById("tab");
const MOST = 1000;

function places() {
  const found = [], texts = document.createTreeWalker(tab, NodeFilter.SHOW_TEXT);
  const wanted = words.map((word) => word.toLowerCase());
  while (texts.nextNode() && found.length < MOST) {
    const node = texts.currentNode, text = node.data.toLowerCase();
    // letters of another length in small would shift the places
    if (text.length !== node.data.length) continue;
    for (const word of wanted) {
      for (let at = text.indexOf(word); at >= 0 && found.length < MOST; at = text.indexOf(word, at + word.length)) {
        const range = new Range();
        range.setStart(node, at);
        range.setEnd(node, at + word.length);
        found.push(range);
      }
    }
  }
  return found.sort((one, other) => one.compareBoundaryPoints(Range.START_TO_START, other));
}

const found = places();
let here = -1;
function go(at) {
  here = at % found.length;
  const range = found[here];
  for (let one = range.startContainer.parentElement; one && one !== tab; one = one.parentElement) if (one.localName === "details") one.open = true;
  CSS.highlights?.set("gw-hit-here", Object.assign(new Highlight(range), { priority: 1 }));
  range.startContainer.parentElement.scrollIntoView({ block: "center" });
}
if (found.length) {
  globalThis.CSS.highlights?.set("gw-hit", new Highlight(...found));
  bar.hidden = false;
  bar.querySelector("b").textContent = found.length === MOST ? `${MOST}+` : found.length;
  bar.querySelector("button").addEventListener("click", () => go(here + 1));
}
