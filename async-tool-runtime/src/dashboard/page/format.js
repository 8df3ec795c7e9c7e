// Times, durations and words, as people read them.

/// Seconds as `240 ms`, `3.2 s`, `4 min 05 s`, `3 h 04 min`, `2 d 3 h`.
export function duration(seconds) {
  const pad = (number) => String(number).padStart(2, "0");
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/// The same for what goes on and is shown anew each second.
export function elapsed(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return whole < 60 ? `${whole} s` : duration(whole);
}

const SAME_DAY = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
const OTHER_DAY = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false };

/// A moment, here: `14:03:21`, or `21 Nov, 14:03` of another day.
export function moment(text, now) {
  const date = new Date(text);
  const today = date.toDateString() === new Date(now).toDateString();
  return date.toLocaleString(undefined, today ? SAME_DAY : OTHER_DAY);
}

export function percent(fraction) {
  return `${Math.floor(fraction * 100)} %`;
}

/// A rate, which may be small.
export function rate(fraction) {
  const number = fraction * 100;
  return `${number > 0 && number < 9.95 ? number.toFixed(1) : Math.round(number)} %`;
}

export function count(number) {
  return number.toLocaleString();
}

const WORDS = { input_required: "needs input" };

/// A status, an end, or a kind, in words.
export function word(name) {
  return WORDS[name] ?? name.replaceAll("_", " ");
}

/// The first digits of an id, which tell tasks apart for people.
export function short(id) {
  return id.slice(0, 8);
}
