// What the attempts of a task did, and when.

import { h, put, say, set } from "./dom.js";
import { duration, elapsed, moment, word } from "./format.js";
import { now } from "./live.js";

/// The list of attempts; call the result's `show` with a task, and `tick` each
/// second.
export function timeline() {
  const element = h("ol", { class: "attempts" });
  let shown = "";
  let ticks = [];

  function show(task) {
    // It is told as a whole; most of the time this part of it is the same.
    const told = JSON.stringify([task.attempts, task.omitted_attempts]);
    if (told !== shown) {
      shown = told;
      ticks = [];
      const omitted = task.omitted_attempts > 0
        ? h("li", { class: "omitted" }, `${task.omitted_attempts} earlier attempts are left out`)
        : null;
      put(element, omitted, task.attempts.map((attempt) => attemptItem(attempt, ticks)));
    }
    tick();
  }

  function tick() {
    ticks.forEach((it) => it());
  }

  return { element, show, tick };
}

function attemptItem(attempt, ticks) {
  const took = h("span", { class: "took" });
  const length = () => {
    if (attempt.took_seconds !== undefined) return attempt.took_seconds;
    if (!attempt.end && attempt.started_at) return Math.max(0, (now() - Date.parse(attempt.started_at)) / 1000);
    // It is not known when it ended: what is known of its steps must do.
    const ends = attempt.steps.map((step) => (step.after_seconds ?? 0) + (step.took_seconds ?? 0));
    return Math.max(0, ...ends);
  };
  const showTook = () => {
    if (attempt.took_seconds !== undefined) say(took, duration(attempt.took_seconds));
    else if (!attempt.end) say(took, elapsed(length()));
  };
  ticks.push(showTook);
  showTook();
  const end = attempt.end ?? "working";
  const steps = attempt.steps.map((step) => stepItem(step, attempt, length, ticks));
  return h(
    "li",
    { class: "attempt", "data-end": end },
    h("div", { class: "head" },
      h("h3", {}, `Attempt ${attempt.number}`),
      h("span", { class: "badge", "data-status": end }, word(end)),
      took,
      attempt.started_at ? h("span", { class: "when" }, "from ", h("time", { datetime: attempt.started_at }, moment(attempt.started_at, now()))) : null,
      attempt.worker ? h("span", { class: "worker" }, "worker ", h("code", {}, attempt.worker)) : null),
    attempt.reason ? h("p", { class: "reason" }, attempt.reason) : null,
    attempt.omitted_steps > 0 ? h("p", { class: "omitted" }, `${attempt.omitted_steps} earlier steps are left out`) : null,
    steps.length ? h("ol", { class: "steps", "aria-label": `Steps of attempt ${attempt.number}` }, steps) : null,
  );
}

/// What a step is called, and what is said of how it ended.
function stepName(step) {
  return step.kind === "question" ? `question ${step.name}` : step.name;
}

const SAID = { failed: "not done", replayed: "from an earlier attempt" };

function stepItem(step, attempt, length, ticks) {
  const bar = h("span", { class: "span" });
  const took = h("span", { class: "took" });
  const goesOn = !step.end && !attempt.end;
  const said = step.end === "failed" && attempt.end === "interrupted" ? "cut short" : SAID[step.end];
  const tick = () => {
    const whole = Math.max(length(), 0.001);
    const from = Math.min(step.after_seconds ?? 0, whole);
    const time = step.took_seconds ?? whole - from;
    // Styles that are set one by one are no inline styles to the content
    // security policy.
    bar.style.insetInlineStart = `min(${(from / whole) * 100}%, 100% - 2px)`;
    bar.style.inlineSize = `${(Math.min(time, whole - from) / whole) * 100}%`;
    if (step.took_seconds !== undefined) say(took, duration(step.took_seconds));
    else if (goesOn) say(took, elapsed(time));
    else say(took, "cut short");
  };
  if (!attempt.end) ticks.push(tick);
  tick();
  return h(
    "li",
    { class: "step", "data-end": step.end ?? (goesOn ? "working" : "failed"), "data-kind": step.kind },
    h("span", { class: "name" }, stepName(step), said ? h("span", { class: "said" }, ` ${said}`) : null),
    h("span", { class: "track", "aria-hidden": "true" }, bar),
    took,
  );
}
