// The page: which view is shown, how the server is, and what is said aloud.

import { h, keepingFocus, put, say, set } from "./dom.js";
import { count, duration } from "./format.js";
import { now } from "./live.js";
import { taskView } from "./task.js";
import { tasksView } from "./tasks.js";
import { toolsView } from "./tools.js";

/// Two announcements are at least this far apart, in milliseconds.
const QUIET = 8000;

const main = document.getElementById("main");
const healthList = document.getElementById("health");
const connection = document.getElementById("connection");
const announcer = document.getElementById("announcer");

let waiting = [];
let announcedAt = 0;
let timer = null;

/// Has a screen reader say something when it has time; what comes in between is
/// counted.
function announce(text) {
  waiting.push(text);
  if (timer) return;
  const pause = Math.max(500, announcedAt + QUIET - Date.now());
  timer = setTimeout(() => {
    const more = waiting.length - 2;
    const said = waiting.slice(0, 2).join(". ");
    say(announcer, more > 0 ? `${said}. And ${more} more.` : `${said}.`);
    waiting = [];
    announcedAt = Date.now();
    timer = null;
  }, pause);
}

const STATES = {
  live: "live",
  looking: "every few seconds",
  waiting: "reconnecting",
};

function state(name, why) {
  set(connection, "data-state", name);
  set(connection, "title", why);
  say(connection.querySelector(".text"), STATES[name]);
}

let health = null;

function showHealth(told) {
  if (told) health = told;
  if (!health) return;
  const oldest = health.oldest_queued_at;
  const facts = [
    ["running", count(health.running)],
    ["queued", count(health.queued)],
    oldest && ["oldest", duration(Math.max(0, Math.floor((now() - Date.parse(oldest)) / 1000)))],
    [health.workers === 1 ? "worker" : "workers", count(health.workers)],
    [health.records === 1 ? "record" : "records", count(health.records)],
    health.notices > 0 && ["notices due", count(health.notices)],
    ...Object.entries(health.circuits ?? {}).map(([tool, state]) => [`circuit of ${tool}`, state.replace("_", " ")]),
    health.draining && ["this server", "shutting down"],
  ].filter(Boolean);
  // Most of the time the same facts have other values.
  const same = healthList.children.length === facts.length;
  facts.forEach(([name, value], index) => {
    const known = same ? healthList.children[index] : null;
    if (known && known.firstChild.textContent === name) {
      say(known.lastChild, value);
    } else if (known) {
      put(known, h("dt", {}, name), h("dd", {}, value));
    }
  });
  if (!same) {
    put(healthList, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }
}

/// What each view gets.
const page = {
  announce,
  state,
  health: showHealth,
  canCancel: () => health?.can_cancel === true,
};

function route() {
  const [path, search] = location.hash.replace(/^#/, "").split("?");
  const [, first, second] = path.split("/");
  if (first === "tasks" && second) return { view: "task", id: second };
  if (first === "tools") return { view: "tools" };
  return { view: "tasks", query: new URLSearchParams(search) };
}

const VIEWS = { tasks: tasksView, tools: toolsView, task: taskView };

let close = () => {};
let shown = null;

function show() {
  // The link to the content is no view.
  if (location.hash === "#main") return;
  const wanted = route();
  if (shown && shown.view === "tasks" && wanted.view === "tasks") {
    shown.change(wanted.query);
    return;
  }
  close();
  const first = !shown;
  const view = VIEWS[wanted.view](page, wanted);
  shown = { ...wanted, change: view.change };
  close = view.close;
  keepingFocus(() => put(main, view.element));
  for (const link of document.querySelectorAll("nav a")) {
    const { view } = link.dataset;
    const current = view === wanted.view ? "page" : view === "tasks" && wanted.view === "task" && "true";
    set(link, "aria-current", current);
  }
  if (!first) {
    const title = main.querySelector("h1");
    title?.focus();
    window.scrollTo(0, 0);
  }
}

window.addEventListener("hashchange", show);
setInterval(() => {
  if (!document.hidden) showHealth();
}, 1000);
show();
