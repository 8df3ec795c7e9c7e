// The TypeScript SDK, version 2: 2026-07-28. It has no tasks of its own, and
// refuses results that it does not know; `ext-tasks` follows tasks for it.

import {
  Client,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import {
  createApplicationInputHandler,
  createTaskSessionFromClient,
} from "@modelcontextprotocol/ext-tasks/client";
import { family, overHttp, play, resource, say, target } from "./parts.mjs";

const PROTOCOL = "2026-07-28";
const clientInfo = { name: "ts-v2", version: "1.0.0" };
const capabilities = { elicitation: { form: {} } };

function answer({ message }) {
  say("asked", { message });
  return { action: "accept", content: { confirm: true } };
}

const client = new Client(clientInfo, {
  capabilities,
  versionNegotiation: { mode: { pin: PROTOCOL } },
});
client.setRequestHandler("elicitation/create", async ({ params }) => answer(params));
const transport = overHttp
  ? new StreamableHTTPClientTransport(new URL(target))
  : new StdioClientTransport({ command: target });
await client.connect(transport);
const { tools } = await client.listTools();
say("tools", { names: tools.map((tool) => tool.name) });

// Sends requests past the client, which must not see their answers.
function rawDispatch() {
  const waiting = new Map();
  const toClient = transport.onmessage;
  transport.onmessage = (message, extra) => {
    const settle = waiting.get(message.id);
    if (settle === undefined || message.method !== undefined) {
      return toClient(message, extra);
    }
    waiting.delete(message.id);
    settle(
      message.error === undefined
        ? { kind: "result", result: message.result }
        : { kind: "error", error: message.error },
    );
  };
  let count = 0;
  return (request) =>
    new Promise((resolve, reject) => {
      const id = `raw-${(count += 1)}`;
      waiting.set(id, resolve);
      transport.send({ jsonrpc: "2.0", id, ...request }).catch(reject);
    });
}

function tasks() {
  return createTaskSessionFromClient(client, {
    endpointId: "fixture",
    rawDispatch: rawDispatch(),
    v2RequestFraming: {
      protocolVersion: PROTOCOL,
      clientInfo,
      clientCapabilities: capabilities,
    },
    onInputRequest: createApplicationInputHandler({
      elicitation: ({ params }) => answer(params),
      sampling: () => Promise.reject(new Error("no model here")),
      roots: () => ({ roots: [] }),
    }),
  });
}

async function call(name, args) {
  const { structuredContent } = await client.callTool({ name, arguments: args });
  return structuredContent;
}

await play({
  family: () => family(call),

  resource: () =>
    resource(
      call,
      async (uri, hear) => {
        client.setNotificationHandler("notifications/resources/updated", ({ params }) =>
          hear(params.uri),
        );
        await client.listen({ resourceSubscriptions: [uri] });
      },
      (params) => client.readResource(params),
    ),

  // The server waits for those who do not know tasks.
  waiting: async () => {
    const ran = await client.callTool({
      name: "slow_compute",
      arguments: { seconds: 1, label: "waiting" },
    });
    say("waiting", { ran });
    const answered = await client.callTool({
      name: "confirm_delete",
      arguments: { filename: "a.txt" },
    });
    say("waiting", { answered });
  },

  native: async () => {
    const session = tasks();
    async function follow(name, args, stop = false) {
      const execution = await session.callTool(name, args);
      if (execution.kind !== "task") {
        return { kind: execution.kind };
      }
      if (stop) {
        await execution.cancel();
      }
      const { outcome } = await execution.settle();
      // To ask to stop is the end for this client; what the server says is more.
      const last = await session.task(execution.handle.taskId).snapshot();
      return {
        kind: execution.kind,
        status: outcome.status,
        result: outcome.result,
        error: outcome.error?.message,
        task: last.raw,
      };
    }
    say("native", { ran: await follow("slow_compute", { seconds: 1, label: "native" }) });
    say("native", { failed: await follow("failing_job", {}) });
    say("native", { broke: await follow("protocol_error_job", {}) });
    say("native", { stopped: await follow("slow_compute", { seconds: 600 }, true) });
    say("native", { answered: await follow("confirm_delete", { filename: "a.txt" }) });
    await session.close();
  },
});
await client.close();
