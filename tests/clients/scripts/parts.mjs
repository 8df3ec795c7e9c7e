// What the scripts of this directory have in common. Each is called with a
// target (a URL, or the path of a server to start) and the parts to play, and
// says in lines of JSON what its client made of them.

export const [target, ...parts] = process.argv.slice(2);
export const overHttp = target.startsWith("http:");

export function say(part, what) {
  process.stdout.write(`${JSON.stringify({ part, ...what })}\n`);
}

/// The tools of a family, which any client can call.
export async function family(call) {
  let task = await call("slow_compute_initiate", { seconds: 1, label: "family" });
  while (!task.done) {
    task = await call("slow_compute_status", { task_id: task.task_id, wait_seconds: 20 });
  }
  say("family", { ran: task });

  const long = await call("slow_compute_initiate", { seconds: 600 });
  const stopped = await call("slow_compute_cancel", { task_id: long.task_id });
  say("family", { stopped });
}

/// A task as a resource: the client hears of its end, and reads it.
export async function resource(call, subscribe, read) {
  const { task_id } = await call("slow_compute_initiate", { seconds: 600 });
  const uri = `resource://tasks/${task_id}`;
  let hear;
  const heard = new Promise((resolve) => (hear = resolve));
  await subscribe(uri, hear);
  await call("slow_compute_cancel", { task_id });
  const updated = await heard;
  const { contents } = await read({ uri });
  say("resource", { uri, updated, read: JSON.parse(contents[0].text) });
}

/// Plays the parts that were asked for.
export async function play(known) {
  for (const part of parts) {
    await known[part]();
  }
}
