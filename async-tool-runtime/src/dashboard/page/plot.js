// How long tasks took and how many failed, over time, as a drawing.

import { svg } from "./dom.js";
import { duration, moment } from "./format.js";

const HEIGHT = 168;
/// Of the upper part: each task is a mark.
const MARKS = { top: 10, bottom: 106 };
/// Of the lower part: how many ended, and how many of them failed.
const BARS = { top: 120, bottom: 146 };
const LEFT = 66;
const RIGHT = 54;

/// Round durations, in seconds.
const TICKS = [0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600];
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];

/// The tasks of parts of the time, the oldest first: `{ from, to, took, failed }`.
export function buckets(points, parts, now) {
  const [from, to] = range(points, now);
  const all = Array.from({ length: parts }, (_, index) => ({
    from: from + ((to - from) * index) / parts,
    to: from + ((to - from) * (index + 1)) / parts,
    took: [],
    ended: 0,
    failed: 0,
  }));
  for (const { at, took, status } of points) {
    const index = Math.min(parts - 1, Math.floor(((at - from) / (to - from)) * parts));
    const bucket = all[Math.max(0, index)];
    bucket.ended += 1;
    bucket.failed += status === "failed" ? 1 : 0;
    if (status !== "cancelled") bucket.took.push(took);
  }
  return all;
}

function range(points, now) {
  const first = points[0]?.at ?? now - 60_000;
  // A moment of time is no range.
  return [Math.min(first, now - 10_000), Math.max(now, points.at(-1)?.at ?? now)];
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length / 2) - 1];
}

/// Draws the tasks of a tool: `points` are `{ at, took, status }`, the oldest
/// first; `quantiles` are lines.
export function plot({ points, quantiles, width, now, label }) {
  const [from, to] = range(points, now);
  const right = width - RIGHT;
  const x = (at) => LEFT + ((at - from) / (to - from)) * (right - LEFT);
  const [low, high] = decades(points.map((point) => point.took));
  const y = (took) => {
    const place = Math.log(Math.max(took, low) / low) / Math.log(high / low);
    return MARKS.bottom - Math.min(1, place) * (MARKS.bottom - MARKS.top);
  };
  return svg(
    "svg",
    { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label },
    timeAxis(from, to, x, width, now),
    durationAxis(low, high, y, right),
    quantileLines(quantiles, y, right),
    points.map(({ at, took, status }) => mark(x(at), y(took), status)),
    bars(points, x, width, now),
  );
}

/// The round durations below and above all.
function decades(durations) {
  const least = Math.max(0.001, Math.min(...durations));
  const most = Math.max(least, ...durations);
  const below = TICKS.findLast((tick) => tick <= least) ?? TICKS[0];
  const above = TICKS.find((tick) => tick >= most) ?? most;
  return below < above ? [below, above] : [below, TICKS.find((tick) => tick > below) ?? below * 10];
}

function text(x, y, anchor, ...content) {
  return svg("text", { x, y, "text-anchor": anchor }, ...content);
}

function durationAxis(low, high, y, right) {
  const ticks = TICKS.filter((tick) => tick >= low && tick <= high);
  return svg("g", { class: "axis" },
    svg("text", { x: 10, y: (MARKS.top + MARKS.bottom) / 2, "text-anchor": "middle",
      transform: `rotate(-90 10 ${(MARKS.top + MARKS.bottom) / 2})` }, "duration"),
    ticks.map((tick) => [
      svg("line", { x1: LEFT, x2: right, y1: y(tick), y2: y(tick) }),
      text(LEFT - 6, y(tick) + 4, "end", round(tick)),
    ]));
}

function round(seconds) {
  return duration(seconds).replace(/\.0 | 00 (s|min)$| 0 h$/, (found) => (found === ".0 " ? " " : ""));
}

function timeAxis(from, to, x, width, now) {
  const room = Math.max(2, Math.floor((width - LEFT) / 110));
  const step = STEPS.find((it) => (to - from) / 1000 / it <= room) ?? STEPS.at(-1);
  const offset = new Date(from).getTimezoneOffset() * 60_000;
  const first = Math.ceil((from - offset) / (step * 1000)) * step * 1000 + offset;
  const ticks = [];
  for (let at = first; at <= to; at += step * 1000) {
    ticks.push(svg("line", { x1: x(at), x2: x(at), y1: MARKS.top, y2: BARS.bottom, class: "time" }));
    ticks.push(text(x(at), HEIGHT - 6, "middle", clock(at, step, now)));
  }
  return svg("g", { class: "axis" }, ticks);
}

function clock(at, step, now) {
  const full = moment(at, now);
  // Seconds where they matter.
  return step >= 60 ? full.replace(/^(\d\d:\d\d):\d\d$/, "$1") : full;
}

function quantileLines(quantiles, y, right) {
  if (!quantiles) return null;
  const { p50, p95 } = quantiles;
  // Two labels in one place would hide each other.
  const lines = [[p50, "median", y(p50)], [p95, "95 %", Math.min(y(p95), y(p50) - 12)]];
  return svg("g", { class: "quantile" },
    lines.map(([took, label, place]) => [
      svg("line", { x1: LEFT, x2: right, y1: y(took), y2: y(took) }),
      text(right + 6, place + 4, "start", label),
    ]));
}

/// Told apart by their form too, and not by colour alone.
function mark(x, y, status) {
  if (status === "failed") {
    const d = `M${x - 3} ${y - 3}l6 6m0-6l-6 6`;
    return svg("path", { d, class: "failed" });
  }
  return svg("circle", { cx: x, cy: y, r: status === "cancelled" ? 2.5 : 2.75, class: status });
}

function bars(points, x, width, now) {
  const parts = Math.max(6, Math.min(48, Math.floor((width - LEFT) / 14)));
  const all = buckets(points, parts, now);
  const most = Math.max(1, ...all.map((bucket) => bucket.ended));
  const height = (number) => (number / most) * (BARS.bottom - BARS.top);
  const bar = ({ from, to }, bottom, number, name) => number > 0
    ? svg("rect", {
      x: x(from) + 0.5, width: Math.max(1, x(to) - x(from) - 1),
      y: bottom - height(number), height: height(number), class: name,
    })
    : null;
  return svg("g", { class: "bars" },
    svg("line", { x1: LEFT, x2: width - RIGHT, y1: BARS.bottom, y2: BARS.bottom, class: "base" }),
    text(LEFT - 6, BARS.top + 8, "end", String(most)),
    text(LEFT - 6, BARS.bottom, "end", "tasks"),
    all.map((bucket) => [
      bar(bucket, BARS.bottom, bucket.failed, "failed"),
      bar(bucket, BARS.bottom - height(bucket.failed), bucket.ended - bucket.failed, "ended"),
    ]));
}
