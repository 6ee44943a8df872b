// Draws the tables of charts (admin/gateway/chart.html) with Chart.js. The page's words stay the page's: what a
// tooltip says is what the table says.
const Chart = globalThis.Chart;
const BEYOND = 12;
const compact = new Intl.NumberFormat(document.documentElement.lang || "en", { notation: "compact", maximumFractionDigits: 1 });
const ticks = {
  number: (value) => compact.format(value),
  dollars: (value) => {
    if (value && Math.abs(value) < 0.01) return `$${value.toPrecision(1)}`;
    return `$${Math.abs(value) < 10 && !Number.isInteger(value) ? value.toFixed(2) : compact.format(value)}`;
  },
  seconds: (value) => `${compact.format(value / 1000)} s`,
  percent: (value) => `${compact.format(value)} %`,
};
// figure: { chart, found, open }
const drawn = new Map();

function read(figure) {
  const table = figure.querySelector("table");
  const rows = [...table.tBodies[0].rows];
  return {
    names: rows.map((row) => row.cells[0].textContent.trim()),
    links: rows.map((row) => row.cells[0].querySelector("a")?.href),
    series: [...table.tHead.rows[0].cells].slice(1).map((head, at) => ({
      name: head.textContent.trim(), ...head.dataset,
      values: rows.map((row) => (row.cells[at + 1].dataset.v === undefined ? null : Number(row.cells[at + 1].dataset.v))),
      words: rows.map((row) => row.cells[at + 1].textContent.trim()),
    })),
  };
}

function colours(figure) {
  const style = getComputedStyle(figure);
  const of = (name) => style.getPropertyValue(`--gw-series-${name}`).trim();
  return { of, grid: of("grid"), text: of("text") };
}

function dataset(one, ink, heat) {
  const colour = ink.of(one.colour);
  if (one.kind === "heat") {
    // every cell is as high as the others; its shade is its number
    const shade = one.values.map((value) => (value ? `color-mix(in srgb, ${colour} ${Math.round(15 + 85 * Math.sqrt(value / heat))}%, transparent)` : "transparent"));
    return { type: "bar", data: one.values.map(() => 1), backgroundColor: shade, hoverBackgroundColor: shade, barPercentage: 1, categoryPercentage: 1, stack: "heat" };
  }
  if (one.kind === "bar") return { type: "bar", data: one.values, backgroundColor: colour, hoverBackgroundColor: colour, stack: "bars", barPercentage: 0.9, categoryPercentage: 0.9, order: 2 };
  const alone = one.values.map((value, at) => (value !== null && one.values[at - 1] == null && one.values[at + 1] == null ? 3 : 0));
  const before = one.kind === "before";
  return { type: "line", data: one.values, borderColor: colour, backgroundColor: colour, borderWidth: 2, borderDash: before ? [4, 4] : [], pointRadius: alone, pointHoverRadius: 4, stack: one.name, order: 1 };
}

function draw(figure) {
  const found = read(figure), ink = colours(figure), across = "across" in figure.dataset;
  const heat = Math.max(1, ...found.series.filter((one) => one.kind === "heat").flatMap((one) => one.values));
  const isHeat = found.series.some((one) => one.kind === "heat");
  const box = figure.querySelector(".gw-drawing"), canvas = box.querySelector("canvas");
  box.hidden = false;
  if (across) box.style.height = `${Math.max(5, 1.75 * found.names.length + 2)}rem`;
  const edges = found.series.map((one) => one.edge);
  const values = {
    beginAtZero: true, stacked: true, border: { display: false }, grid: { color: isHeat ? "transparent" : ink.grid }, ticks: { color: ink.text, maxTicksLimit: 5 },
  };
  if (isHeat) Object.assign(values, { max: found.series.length, ticks: { color: ink.text, stepSize: 1, autoSkip: false, callback: (value) => edges[value - 1] ?? "" } });
  // a budget that is hardly used has a short bar, and no axis of its own
  if (across && figure.dataset.unit === "percent") values.suggestedMax = 100;
  if (!isHeat) values.ticks.callback = ticks[figure.dataset.unit] ?? ticks.number;
  const columns = { stacked: true, grid: { display: false }, border: { color: ink.grid }, ticks: { color: ink.text, maxRotation: 0, autoSkipPadding: 12, autoSkip: !across } };
  const open = (at) => { if (found.links[at]) location.href = found.links[at]; };
  const chart = new Chart(canvas, {
    type: "bar",
    data: { labels: found.names, datasets: found.series.map((one) => dataset(one, ink, heat)) },
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, indexAxis: across ? "y" : "x",
      interaction: { mode: "index", intersect: false, axis: across ? "y" : "x" },
      scales: across ? { x: values, y: columns } : { x: columns, y: values },
      onClick: (event) => { const [hit] = chart.getElementsAtEventForMode(event.native, "index", { intersect: false, axis: across ? "y" : "x" }, true); if (hit) open(hit.index); },
      onHover: (event, hits) => { event.native.target.style.cursor = hits.length && found.links[hits[0].index] ? "pointer" : ""; },
      plugins: {
        legend: { display: false },
        tooltip: {
          itemSort: isHeat ? (one, other) => other.datasetIndex - one.datasetIndex : undefined,
          // what is nothing in a picture of many colours needs no line
          filter: (item) => found.series.length < BEYOND / 2 || Boolean(found.series[item.datasetIndex].values[item.dataIndex]),
          callbacks: {
            label: (item) => `${found.series[item.datasetIndex].name}: ${found.series[item.datasetIndex].words[item.dataIndex]}`,
            labelColor: (item) => { const one = ink.of(found.series[item.datasetIndex].colour); return { borderColor: one, backgroundColor: one }; },
          },
        },
      },
    },
  });
  drawn.set(figure, { chart, found, open });
}

function keys(figure) {
  const canvas = figure.querySelector("canvas"), said = figure.querySelector("[aria-live]");
  const { names, series } = drawn.get(figure).found;
  let at = -1;
  const show = (place) => {
    const { chart } = drawn.get(figure);
    at = Math.max(0, Math.min(names.length - 1, place));
    const hits = series.map((_one, datasetIndex) => ({ datasetIndex, index: at }));
    chart.setActiveElements(hits);
    chart.tooltip.setActiveElements(hits, chart.getDatasetMeta(0).data[at].tooltipPosition(true));
    chart.update("none");
    said.textContent = [names[at], ...series.map((one) => `${one.name}: ${one.words[at]}`)].join(", ");
  };
  const hide = () => {
    const { chart } = drawn.get(figure);
    at = -1;
    chart.setActiveElements([]);
    chart.tooltip.setActiveElements([], { x: 0, y: 0 });
    chart.update("none");
  };
  canvas.addEventListener("blur", hide);
  canvas.addEventListener("keydown", (event) => {
    const last = names.length - 1;
    const steps = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at < 0 ? last : at - 1, ArrowUp: at < 0 ? last : at - 1, Home: 0, End: last };
    if (event.key in steps) show(steps[event.key]);
    else if (event.key === "Enter" && at >= 0) drawn.get(figure).open(at);
    else if (event.key === "Escape" && at >= 0) hide();
    else return;
    event.preventDefault();
  });
}

Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
document.querySelectorAll("[data-chart]").forEach((figure) => {
  draw(figure);
  keys(figure);
});
// light and dark have colours of their own
new MutationObserver(() => {
  for (const [figure, { chart }] of drawn) {
    chart.destroy();
    draw(figure);
  }
}).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
