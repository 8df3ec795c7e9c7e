// One task: facts, timeline, log, and the button that cancels it.

import { h, put, say, set } from "./dom.js";
import { duration, elapsed, moment, percent, short, word } from "./format.js";
import { ask, follow, now } from "./live.js";
import { showBar, stepText } from "./tasks.js";
import { timeline } from "./timeline.js";

const ENDED = ["completed", "failed", "cancelled"];

export function taskView(page, { id }) {
  let task = null;
  document.title = `Task ${short(id)}`;

  const title = h("h1", { tabindex: "-1" }, "Task ", h("code", {}, short(id)));
  const badge = h("span", { class: "badge" });
  const cancel = h("button", { type: "button", class: "danger", hidden: true, on: { click: () => dialog.open(task) } }, "Cancel…");
  const bar = h("progress", { max: "1", "aria-label": "Progress" });
  const fraction = h("span", { class: "fraction" });
  const step = h("span", { class: "step" });
  const line = h("div", { class: "line", hidden: true }, bar, fraction, step);
  const message = h("p", { class: "message" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const facts = h("dl", { class: "facts" });
  const time = timeline();
  const timePart = part("Timeline", time.element);
  const error = section("Error");
  const questions = section("Open questions");
  const log = section("Log");
  const notice = section("Delivery");
  const result = section("Result");
  const dialog = cancelDialog(page, id, hear);
  const element = h(
    "article",
    { class: "task" },
    h("p", { class: "back" }, h("a", { href: "#/" }, "← Tasks")),
    h("div", { class: "bar" }, title, badge, cancel),
    problem, line, message,
    error.element, questions.element, timePart, h("section", { "aria-label": "Facts" }, h("h2", {}, "Facts"), facts),
    log.element, notice.element, result.element, dialog.element,
  );

  function complain(message) {
    set(problem, "hidden", !message);
    say(problem, message);
  }

  function hear(told) {
    if (task && !ENDED.includes(task.status) && ENDED.includes(told.status)) {
      page.announce(`the task has ended: ${word(told.status)}`);
    }
    task = told;
    complain(null);
    show();
  }

  function show() {
    document.title = `${task.tool} ${short(id)}: ${word(task.status)}`;
    put(title, task.tool, " ", h("code", {}, short(id)));
    set(badge, "data-status", task.status);
    say(badge, task.stopping ? "stopping" : word(task.status));
    showCancel();
    const progress = task.progress ?? {};
    set(line, "hidden", progress.fraction === undefined && !progress.step);
    showBar(bar, progress.fraction);
    say(fraction, progress.fraction === undefined ? "" : percent(progress.fraction));
    const eta = task.eta_seconds === undefined ? null : `about ${duration(task.eta_seconds)} left`;
    say(step, [stepText(progress), eta].filter(Boolean).join(" · "));
    say(message, task.message);
    set(message, "hidden", !task.message);
    showFacts();
    time.show(task);
    set(timePart, "hidden", task.attempts.length === 0);
    error.show(task.error && errorText(task.error));
    questions.show(task.questions?.length && h("ul", {}, task.questions.map((it) => h("li", {}, it.message))));
    log.show(task.log.length && logList(task.log));
    notice.show(task.notice && notices(task.notice));
    result.show(resultText(task));
  }

  function showCancel() {
    const able = page.canCancel() && !ENDED.includes(task.status) && !task.stopping;
    // The focus must not get lost with the button.
    if (!able && document.activeElement === cancel) title.focus();
    set(cancel, "hidden", !able);
  }

  const values = new Map();

  function showFacts() {
    const known = [
      ["Id", h("code", {}, task.task_id), task.task_id],
      ["Tool", task.tool],
      ["Principal", task.principal],
      ["Attempt", task.attempt ? String(task.attempt) : "not started"],
      ["Created", at(task.created_at), task.created_at],
      ["Started", at(task.started_at), task.started_at],
      ["Ended", at(task.finished_at), task.finished_at],
      ["Not before", at(task.not_before), task.not_before],
      [task.finished_at ? null : "Deadline", at(task.deadline), task.deadline],
      ["Kept until", at(task.expires_at), task.expires_at],
      ["Asked to stop", task.cancel_reason === undefined ? null : task.cancel_reason || "without a reason"],
      ["Revision", String(task.revision)],
    ].filter(([name, value]) => name && value);
    const names = known.map(([name]) => name).join();
    if (facts.dataset.names !== names) {
      facts.dataset.names = names;
      values.clear();
      put(facts, known.map(([name]) => {
        const value = h("dd");
        values.set(name, { value, shown: null });
        return h("div", { class: name === "Id" && "wide" }, h("dt", {}, name), value);
      }));
    }
    for (const [name, value, key] of known) {
      const place = values.get(name);
      if (place.shown === (key ?? value)) continue;
      place.shown = key ?? value;
      put(place.value, value);
    }
  }

  const unfollow = follow(`tasks/${encodeURIComponent(id)}/events`, {
    heard: {
      task: hear,
      health: (told) => {
        page.health(told);
        if (task) showCancel();
      },
      gone: () => complain("There is no such task, or its retention is over."),
      trouble: (told) => complain(told.message),
    },
    look: async () => {
      try {
        page.health(await ask("health"));
        hear(await ask(`tasks/${encodeURIComponent(id)}`));
      } catch (error) {
        complain(error.message);
        throw error;
      }
    },
    state: page.state,
  });
  const clock = setInterval(() => {
    if (!document.hidden && task) time.tick();
  }, 1000);
  return {
    element,
    close: () => {
      unfollow();
      clearInterval(clock);
    },
  };
}

function at(text) {
  return text ? h("time", { datetime: text, title: text }, moment(text, now())) : null;
}

function part(title, ...content) {
  return h("section", { "aria-label": title }, h("h2", {}, title), content);
}

/// A part of the page that is there when it has something to show, and is drawn
/// anew when that is something else.
function section(title) {
  const place = h("div");
  const element = part(title, place);
  let shown = null;
  element.hidden = true;
  return {
    element,
    show(content) {
      set(element, "hidden", !content);
      const told = content ? content.textContent : null;
      if (told === shown) return;
      shown = told;
      const before = place.firstElementChild;
      const scrolled = before?.scrollTop;
      const atEnd = !before || before.scrollHeight - before.clientHeight - scrolled < 4;
      const focused = before === document.activeElement;
      put(place, content || null);
      if (!content) return;
      // Who looks at the end of a log wants to see what is added.
      content.scrollTop = atEnd && content.matches(".log") ? content.scrollHeight : (scrolled ?? 0);
      if (focused) content.focus({ preventScroll: true });
    },
  };
}

function errorText(error) {
  const details = error.details === undefined ? null : h("pre", { tabindex: "0" }, JSON.stringify(error.details, null, 2));
  return h("div", { class: "error" },
    h("p", {}, h("code", {}, error.code), " ", error.message),
    error.retryable ? h("p", { class: "note" }, "The same call may succeed later.") : null,
    details);
}

function logList(lines) {
  return h("ol", { class: "log", tabindex: "0", "aria-label": "The last lines" },
    lines.map((line) => h("li", {}, h("time", { datetime: line.at }, moment(line.at, now())), " ", line.text)));
}

function notices({ targets, due_at }) {
  const names = Object.keys(targets);
  if (names.length === 0) {
    return h("p", {}, due_at ? "Others are to be told of this task." : "There is nobody to tell of this task.");
  }
  return h("ul", { class: "deliveries" }, names.map((name) => {
    const { outcome, tries, error } = targets[name];
    const text = `${word(outcome)} after ${tries} ${tries === 1 ? "try" : "tries"}`;
    return h("li", {}, h("span", { class: "name" }, name), ": ", text, error ? h("span", { class: "note" }, ` (${error})`) : null);
  }));
}

function resultText(task) {
  if (task.result_hidden) return h("p", { class: "note" }, "It has a result, which this page does not show.");
  return task.result === undefined ? null : h("pre", { tabindex: "0" }, JSON.stringify(task.result, null, 2));
}

function cancelDialog(page, id, hear) {
  const what = h("p", { id: "cancel-what" });
  const reason = h("input", { id: "reason", name: "reason", maxlength: "500", autocomplete: "off" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const go = h("button", { class: "danger" }, "Cancel the task");
  const stay = h("button", { type: "button", on: { click: () => element.close() } }, "Let it go on");
  const form = h("form", { on: { submit } }, what,
    h("label", { for: "reason" }, "Reason, for whoever called it"), reason, problem, h("div", { class: "buttons" }, go, stay));
  const element = h("dialog", { "aria-labelledby": "cancel-what" }, form);

  async function submit(event) {
    event.preventDefault();
    go.disabled = true;
    try {
      const told = await ask(`tasks/${encodeURIComponent(id)}/cancel`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-async-tool-dashboard": "1" },
        body: JSON.stringify({ reason: reason.value }),
      });
      element.close();
      page.announce(told.status === "cancelled" ? "cancelled" : "asked to stop");
      hear(await ask(`tasks/${encodeURIComponent(id)}`));
    } catch (error) {
      set(problem, "hidden", false);
      say(problem, error.message);
    }
    go.disabled = false;
  }

  return {
    element,
    open(task) {
      say(what, `Cancel ${task.tool} ${short(id)}?`);
      set(problem, "hidden", true);
      reason.value = "";
      element.showModal();
      reason.focus();
    },
  };
}
