// Replay and compare: marks the words of each answer that the request's own answer does not have at that place.
// the table of the comparison has so many rows and columns at most
const MOST = 2000;

function wordsOf(part) {
  const found = [], texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    for (const word of texts.currentNode.data.matchAll(/\S+/g)) found.push({ node: texts.currentNode, at: word.index, text: word[0] });
  }
  return found;
}

// the words of `other` that are in no longest common sequence of both; null: too many to compare
function onlyIn(other, one) {
  let start = 0, end = 0;
  const shorter = Math.min(one.length, other.length);
  while (start < shorter && one[start].text === other[start].text) start += 1;
  while (end < shorter - start && one.at(-1 - end).text === other.at(-1 - end).text) end += 1;
  const left = one.slice(start, one.length - end), right = other.slice(start, other.length - end);
  if (left.length > MOST || right.length > MOST) return null;
  const width = right.length + 1, longest = new Uint16Array((left.length + 1) * width);
  for (let i = left.length - 1; i >= 0; i -= 1) {
    for (let j = right.length - 1; j >= 0; j -= 1) {
      const here = i * width + j;
      longest[here] = left[i].text === right[j].text ? longest[here + width + 1] + 1 : Math.max(longest[here + width], longest[here + 1]);
    }
  }
  const alone = [];
  for (let i = 0, j = 0; j < right.length;) {
    if (i < left.length && left[i].text === right[j].text) { i += 1; j += 1; }
    else if (i < left.length && longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i += 1;
    else { alone.push(right[j]); j += 1; }
  }
  return alone;
}

// without the request's own answer there is nothing to compare with
const first = document.querySelector("[data-answer=own]"), others = [...document.querySelectorAll("[data-answer=again]")];
if (first && globalThis.CSS?.highlights) {
  const own = wordsOf(first), ranges = [];
  for (const other of others) {
    const alone = onlyIn(wordsOf(other), own);
    const said = other.parentElement.querySelector("[data-differs]");
    if (!said || alone === null) continue;
    said.hidden = false;
    said.querySelector("b").textContent = alone.length;
    for (const word of alone) {
      const range = new Range();
      range.setStart(word.node, word.at);
      range.setEnd(word.node, word.at + word.text.length);
      ranges.push(range);
    }
  }
  CSS.highlights.set("gw-differs", new Highlight(...ranges));
}
