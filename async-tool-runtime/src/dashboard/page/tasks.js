// The list of tasks: those that go on, and below them those that have ended.

import { h, keepingFocus, order, say, set } from "./dom.js";
import { count, duration, elapsed, moment, percent, short, word } from "./format.js";
import { ask, follow, now, query as search } from "./live.js";

const ACTIVE = ["queued", "working", "input_required"];
const ENDED = ["completed", "failed", "cancelled"];

/// What the filter offers, and which statuses it means.
const GROUPS = { active: ACTIVE, ended: ENDED };

/// Most ended tasks that stay on the page.
const KEPT = 1000;

function statuses(name) {
  if (!name) return [...ACTIVE, ...ENDED];
  return GROUPS[name] ?? [name];
}

export function tasksView(page, { query }) {
  const rows = new Map();
  let active = [];
  let next = null;
  let more = false;
  let filter = { tool: query.get("tool") ?? "", status: query.get("status") ?? "" };
  let unfollow = () => {};
  let begun = false;
  document.title = "Tasks";

  const tool = h("select", { id: "tool", on: { change: changed } }, h("option", { value: "" }, "all tools"));
  const status = h(
    "select",
    { id: "status", on: { change: changed } },
    h("option", { value: "" }, "all"),
    h("option", { value: "active" }, "not ended"),
    h("option", { value: "ended" }, "ended"),
    h("optgroup", { label: "status" }, [...ACTIVE, ...ENDED].map((it) => h("option", { value: it }, word(it)))),
  );
  const going = group("Not ended");
  const over = group("Ended");
  const older = h("button", { type: "button", hidden: true, on: { click: loadOlder } }, "Load older tasks");
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  // A table on a phone is laid out otherwise, which must not make it another
  // thing to a screen reader: hence the roles.
  const head = h(
    "thead",
    { role: "rowgroup" },
    h("tr", { role: "row" }, ["Task", "Status", "Progress", "Created", "Took", "Ended"].map((name) =>
      h("th", { scope: "col", role: "columnheader", class: name.toLowerCase() }, name))),
  );
  const table = h("table", { class: "tasks", role: "table", "aria-label": "Tasks" }, head, going.body, over.body);
  const element = h(
    "div",
    {},
    h("div", { class: "bar" },
      h("h1", { tabindex: "-1" }, "Tasks"),
      h("form", { class: "filter", role: "search", "aria-label": "Filter", on: { submit: (event) => event.preventDefault() } },
        h("label", { for: "tool" }, "Tool "), tool, h("label", { for: "status" }, "Status "), status)),
    problem, table, older,
  );

  function changed() {
    const wanted = search({ tool: tool.value, status: status.value });
    location.hash = `#/${wanted}`;
  }

  function change(query) {
    filter = { tool: query.get("tool") ?? "", status: query.get("status") ?? "" };
    start();
  }

  function start() {
    unfollow();
    rows.clear();
    [active, next, more, begun] = [[], null, false, false];
    offer(filter.tool);
    tool.value = filter.tool;
    status.value = filter.status;
    draw();
    const path = `events${search({ tool: filter.tool, status: statuses(filter.status).join() })}`;
    unfollow = follow(path, {
      heard: { tasks: hear, health: hearHealth, trouble: (it) => complain(it.message) },
      look,
      state: page.state,
    });
  }

  function hearHealth(health) {
    complain(null);
    page.health(health);
  }

  function complain(message) {
    set(problem, "hidden", !message);
    say(problem, message);
  }

  /// Where there is no stream.
  async function look() {
    const of = (names) => statuses(filter.status).filter((it) => names.includes(it)).join();
    const get = (names, limit) =>
      of(names) ? ask(`tasks${search({ tool: filter.tool, status: of(names), limit })}`) : { tasks: [] };
    const [first, second] = await Promise.all([get(ACTIVE, "200"), get(ENDED, "50")]);
    hear({
      active: first.tasks.map((task) => task.task_id),
      more_active: Boolean(first.next),
      rows: [...first.tasks, ...second.tasks],
      next: begun ? undefined : second.next,
    });
    hearHealth(await ask("health"));
  }

  function hear(frame) {
    active = frame.active;
    more = frame.more_active;
    const listed = new Set(active);
    for (const task of frame.rows) {
      tell(rows.get(task.task_id)?.task, task);
      keep(task);
    }
    // What went on, goes on no more, and is not told among the ended ones is gone.
    for (const [id, row] of rows) {
      if (!listed.has(id) && ACTIVE.includes(row.task.status)) rows.delete(id);
    }
    if (!begun) next = frame.next ?? null;
    begun = true;
    draw();
  }

  function keep(task) {
    offer(task.tool);
    const known = rows.get(task.task_id);
    if (known) {
      known.show(task);
    } else {
      rows.set(task.task_id, taskRow(task));
    }
  }

  function tell(before, task) {
    if (!begun || !ENDED.includes(task.status) || before?.status === task.status) return;
    page.announce(`${task.tool} ${short(task.task_id)} ${word(task.status)}`);
  }

  function offer(name) {
    const known = [...tool.options].some((option) => option.value === name);
    if (!known) tool.append(h("option", { value: name }, name));
  }

  async function loadOlder() {
    older.disabled = true;
    try {
      const of = statuses(filter.status).filter((it) => ENDED.includes(it)).join();
      const told = await ask(`tasks${search({ tool: filter.tool, status: of, after: next, limit: "50" })}`);
      told.tasks.forEach(keep);
      next = told.next ?? null;
      complain(null);
    } catch (error) {
      complain(error.message);
    }
    older.disabled = false;
    draw();
  }

  function draw() {
    const goes = active.map((id) => rows.get(id)).filter(Boolean);
    const ended = [...rows.values()].filter((row) => ENDED.includes(row.task.status));
    ended.sort((a, b) => (a.task.finished_at < b.task.finished_at ? 1 : -1));
    for (const row of ended.splice(KEPT)) rows.delete(row.task.task_id);
    const wanted = (names) => begun && names.some((it) => statuses(filter.status).includes(it));
    // A row may move from one part to the other.
    keepingFocus(() => {
      going.show(goes, more, wanted(ACTIVE));
      over.show(ended, next !== null, wanted(ENDED));
    });
    set(older, "hidden", next === null || ended.length >= KEPT);
  }

  // Names of tools that have no task yet.
  ask("tools").then((told) => told.tools.forEach((it) => offer(it.tool))).catch(() => {});
  const clock = setInterval(() => {
    if (!document.hidden) rows.forEach((row) => row.tick());
  }, 1000);
  start();
  return {
    element,
    change,
    close: () => {
      unfollow();
      clearInterval(clock);
    },
  };
}

/// A part of the table with a title.
function group(title) {
  const number = h("span", { class: "number" });
  const none = h("tr", { role: "row", class: "none" }, h("td", { role: "cell", colspan: "6" }, "none"));
  const heading = h("tr", { role: "row", class: "group" },
    h("th", { scope: "rowgroup", role: "rowheader", colspan: "6" }, title, " ", number));
  const body = h("tbody", { role: "rowgroup" });
  return {
    body,
    show(rows, more, wanted) {
      set(body, "hidden", !wanted);
      say(number, `${count(rows.length)}${more ? "+" : ""}`);
      order(body, [heading, ...(rows.length ? rows.map((row) => row.element) : [none])]);
    },
  };
}

function taskRow(first) {
  const name = `${first.tool} ${short(first.task_id)}`;
  const attempt = h("span", { class: "attempt" });
  const principal = h("span", { class: "principal" });
  const badge = h("span", { class: "badge" });
  const bar = h("progress", { max: "1", "aria-label": `Progress of ${name}` });
  const fraction = h("span", { class: "fraction" });
  const step = h("span", { class: "step" });
  const line = h("div", { class: "line" }, bar, fraction, step);
  const message = h("div", { class: "message" });
  const took = h("td", { role: "cell", class: "took" });
  const created = h("time", { datetime: first.created_at });
  const ended = h("time");
  const element = h(
    "tr",
    { role: "row", "data-id": first.task_id },
    h("th", { role: "rowheader", scope: "row", class: "task" },
      h("a", { href: `#/tasks/${first.task_id}` }, h("span", { class: "name" }, first.tool), " ", h("code", {}, short(first.task_id))),
      attempt, principal),
    h("td", { role: "cell", class: "status" }, badge),
    h("td", { role: "cell", class: "progress" }, line, message),
    h("td", { role: "cell", class: "created" }, created),
    took,
    h("td", { role: "cell", class: "ended" }, ended),
  );
  const row = { element, task: first, show, tick };

  function show(task) {
    row.task = task;
    const progress = task.progress ?? {};
    set(element, "data-status", task.status);
    set(badge, "data-status", task.status);
    say(badge, task.stopping ? "stopping" : word(task.status));
    say(attempt, task.attempt > 1 ? `attempt ${task.attempt}` : "");
    say(principal, task.principal);
    showBar(bar, progress.fraction);
    say(fraction, progress.fraction === undefined ? "" : percent(progress.fraction));
    say(step, stepText(progress));
    set(line, "hidden", progress.fraction === undefined && !progress.step);
    say(message, task.error ? `${task.error.code}: ${task.error.message}` : task.message);
    tick();
  }

  function tick() {
    const { task } = row;
    const today = now();
    say(created, moment(task.created_at, today));
    set(ended, "datetime", task.finished_at);
    say(ended, task.finished_at ? moment(task.finished_at, today) : "");
    if (task.finished_at && task.started_at) {
      say(took, duration((Date.parse(task.finished_at) - Date.parse(task.started_at)) / 1000));
    } else if (task.started_at && task.status !== "queued" && !task.finished_at) {
      say(took, elapsed((today - Date.parse(task.started_at)) / 1000));
    } else {
      say(took, "");
    }
  }

  show(first);
  return row;
}

/// Shows how far something is; nothing if nobody knows.
export function showBar(bar, fraction) {
  set(bar, "hidden", fraction === undefined);
  // To a screen reader each change is another.
  if (fraction !== undefined) set(bar, "value", fraction.toFixed(3));
}

/// As `compile, 2 of 3 · 33 of 80`.
export function stepText({ step, step_number, step_count, current, total }) {
  const place = step_count > 1 ? `${step}, ${step_number} of ${step_count}` : step;
  const units = total ? `${count(current ?? 0)} of ${count(total)}` : null;
  return [place, units].filter(Boolean).join(" · ");
}
