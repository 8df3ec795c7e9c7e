// What the server tells, as it happens.

/// Where the API is: beside this file.
const API = new URL("api/", import.meta.url);

/// How often to look where nobody tells, and when to ask for a stream again, in
/// milliseconds.
const LOOK = 5000;
const AGAIN = 30000;

/// How far this clock is behind the server's, in milliseconds.
let behind = 0;

/// The server's time, in milliseconds.
export function now() {
  return Date.now() + behind;
}

function synchronize(text) {
  const found = Date.parse(text) - Date.now();
  // Clocks that agree need no help from a message that may have come late.
  behind = Math.abs(found) < 5000 ? 0 : found;
}

/// What went wrong with a request, for people to read.
export class Problem extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/// Asks the API; the answer, or a `Problem`.
export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(new URL(path, API), { credentials: "same-origin", ...options });
  } catch {
    throw new Problem(0, "the server does not answer");
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body) {
    if (body.now) synchronize(body.now);
    return body;
  }
  if (response.status === 401 || response.status === 403) {
    const why = body?.error?.message ?? "you may not see this any more; load the page again";
    throw new Problem(response.status, why);
  }
  throw new Problem(response.status, body?.error?.message ?? `the server answered ${response.status}`);
}

export function query(wanted) {
  const known = Object.entries(wanted).filter(([, value]) => value);
  const text = new URLSearchParams(known).toString();
  return text && `?${text}`;
}

/// Follows a stream of events until the returned function is called.
///
/// `heard` has a function for each event. Where the server has no stream to
/// give, `look` is called every few seconds instead. `state` is told how it goes:
/// `live`, `looking`, `waiting`.
export function follow(path, { heard, look, state }) {
  let source = null;
  let timers = [];
  /// Grows with each start and stop: what belongs to an earlier one is over.
  let run = 0;

  function stop() {
    run += 1;
    source?.close();
    source = null;
    timers.forEach(clearTimeout);
    timers = [];
  }

  function start() {
    stop();
    source = new EventSource(new URL(path, API), { withCredentials: true });
    for (const [name, hear] of Object.entries(heard)) {
      source.addEventListener(name, (event) => hear(JSON.parse(event.data)));
    }
    source.addEventListener("clock", (event) => synchronize(JSON.parse(event.data).now));
    source.onopen = () => state("live");
    source.onerror = () => {
      // The browser asks again by itself, unless it was refused.
      if (source?.readyState !== EventSource.CLOSED) {
        state("waiting");
        return;
      }
      stop();
      timers.push(setTimeout(start, AGAIN));
      lookNowAndThen(run);
    };
  }

  async function lookNowAndThen(mine) {
    let found = ["looking"];
    try {
      await look();
    } catch (problem) {
      found = ["waiting", problem.message];
    }
    if (mine !== run) return;
    state(...found);
    timers.push(setTimeout(() => lookNowAndThen(mine), LOOK));
  }

  // A page that nobody sees needs no stream, of which there are few.
  function seen() {
    if (document.hidden) {
      stop();
    } else if (!source) {
      start();
    }
  }

  document.addEventListener("visibilitychange", seen);
  if (!document.hidden) start();
  return () => {
    document.removeEventListener("visibilitychange", seen);
    stop();
  };
}
