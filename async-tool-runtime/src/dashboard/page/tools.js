// How each tool is doing: numbers, and drawings of the last tasks.

import { h, keepingFocus, order, put, say, set } from "./dom.js";
import { count, duration, moment, rate } from "./format.js";
import { ask, now } from "./live.js";
import { buckets, median, plot } from "./plot.js";

/// How often to look, in milliseconds.
const LOOK = 10000;
/// A tool is in trouble above this rate.
const ALARMING = 0.05;
/// How many lines the table beside a drawing has.
const LINES = 12;

export function toolsView(page) {
  document.title = "Tools";
  const note = h("p", { class: "note" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const rows = h("tbody", { role: "rowgroup" });
  const table = h(
    "table",
    { class: "tools", role: "table", "aria-label": "Tools" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      ["Tool", "Failure rate", "Failed", "Ended", "Median", "95 %", "Longest", "Queued"].map((name) =>
        h("th", { scope: "col", role: "columnheader" }, name)))),
    rows,
  );
  const figures = h("div", { class: "figures" });
  const legend = h("p", { class: "legend note", hidden: true },
    h("span", { class: "key completed" }), " completed ", h("span", { class: "key failed" }), " failed ",
    h("span", { class: "key cancelled" }), " cancelled");
  const element = h("div", {},
    h("div", { class: "bar" }, h("h1", { tabindex: "-1" }, "Tools"), note),
    problem, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Numbers of all tools" }, table), legend, figures);
  const drawn = new Map();
  let timer = null;
  let open = true;
  let told = null;

  async function look() {
    clearTimeout(timer);
    if (!document.hidden) {
      try {
        page.health(await ask("health"));
        told = await ask("tools");
        if (!open) return;
        set(problem, "hidden", true);
        page.state("looking");
        show();
      } catch (error) {
        set(problem, "hidden", false);
        say(problem, error.message);
        page.state("waiting", error.message);
      }
    }
    if (open) timer = setTimeout(look, LOOK);
  }

  function show() {
    say(note, `from the newest ${count(told.tasks)} tasks that have ended`);
    keepingFocus(() => put(rows, told.tools.map(toolRow)));
    const ran = told.tools.filter((tool) => tool.points.length > 0);
    set(legend, "hidden", ran.length === 0);
    for (const name of drawn.keys()) {
      if (!ran.some((tool) => tool.tool === name)) drawn.delete(name);
    }
    for (const tool of ran) {
      if (!drawn.has(tool.tool)) {
        drawn.set(tool.tool, toolFigure(tool.tool));
      }
    }
    order(figures, ran.map((tool) => drawn.get(tool.tool).element));
    for (const tool of ran) drawn.get(tool.tool).show(tool);
  }

  const resized = new ResizeObserver(() => drawn.forEach((figure) => figure.draw()));
  resized.observe(figures);
  document.addEventListener("visibilitychange", look);
  look();
  return {
    element,
    close: () => {
      open = false;
      clearTimeout(timer);
      resized.disconnect();
      document.removeEventListener("visibilitychange", look);
    },
  };
}

function toolRow(tool) {
  const ended = tool.completed + tool.failed + tool.cancelled;
  const times = tool.duration_seconds;
  const failures = tool.failure_rate === undefined
    ? null
    : [rateBar(tool.failure_rate), h("span", { class: "number" }, rate(tool.failure_rate))];
  const cell = (...content) => h("td", { role: "cell" }, content);
  return h("tr", { role: "row", class: tool.failure_rate > ALARMING ? "bad" : null },
    h("th", { scope: "row", role: "rowheader" }, h("a", { href: `#/?tool=${encodeURIComponent(tool.tool)}` }, tool.tool)),
    h("td", { role: "cell", class: "rate" }, failures),
    cell(count(tool.failed)),
    cell(count(ended)),
    cell(times && duration(times.p50)),
    cell(times && duration(times.p95)),
    cell(times && duration(times.max)),
    cell(count(tool.queued)));
}

function rateBar(rate) {
  const bar = h("span", { class: "span" });
  bar.style.inlineSize = `${rate * 100}%`;
  return h("span", { class: "track", "aria-hidden": "true" }, bar);
}

function toolFigure(name) {
  const place = h("div", { class: "plot" });
  const numbers = h("tbody");
  const element = h("figure", {},
    h("figcaption", {}, h("h2", {}, name)),
    place,
    h("details", {}, h("summary", {}, "As a table", h("span", { class: "unseen" }, `: ${name}`)),
      h("table", { class: "numbers" }, h("thead", {}, h("tr", {}, ["From", "Ended", "Failed", "Median", "Longest"].map((it) =>
        h("th", { scope: "col" }, it)))), numbers)));
  let points = [];
  let quantiles;
  let rate = 0;

  function show(tool) {
    points = tool.points.map(([at, took, status]) => ({ at: Date.parse(at), took, status }));
    quantiles = tool.duration_seconds;
    rate = tool.failure_rate;
    draw();
    const filled = buckets(points, LINES, now()).filter((bucket) => bucket.ended > 0);
    put(numbers, filled.map(({ from, ended, failed, took }) => h("tr", {},
      h("th", { scope: "row" }, moment(from, now())), h("td", {}, count(ended)), h("td", {}, count(failed)),
      h("td", {}, took.length ? duration(median(took)) : ""), h("td", {}, took.length ? duration(Math.max(...took)) : ""))));
  }

  function draw() {
    const width = place.clientWidth;
    if (!width || !points.length) return;
    const typical = quantiles ? `, median duration ${duration(quantiles.p50)}` : "";
    const failures = rate === undefined ? "" : `, failure rate ${Math.round(rate * 100)} %`;
    const label = `${name}: durations and failures of ${points.length} ${points.length === 1 ? "task" : "tasks"}${typical}${failures}`;
    put(place, plot({ points, quantiles, width, now: now(), label }));
  }

  return { element, show, draw };
}
