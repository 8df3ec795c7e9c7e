// The TypeScript SDK, version 1: 2025-11-25, with its experimental tasks.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CallToolResultSchema,
  ElicitRequestSchema,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { family, overHttp, play, resource, say, target } from "./parts.mjs";

const client = new Client(
  { name: "ts-v1", version: "1.0.0" },
  { capabilities: { elicitation: {}, tasks: { requests: { elicitation: { create: {} } } } } },
);
client.setRequestHandler(ElicitRequestSchema, async (request) => {
  say("asked", { message: request.params.message });
  return { action: "accept", content: { confirm: true } };
});
await client.connect(
  overHttp
    ? new StreamableHTTPClientTransport(new URL(target))
    : new StdioClientTransport({ command: target }),
);
const { tools } = await client.listTools();
say("tools", { names: tools.map((tool) => tool.name) });

// Follows a task to its end, and says what passed by.
async function follow(name, args, { onprogress, onTask } = {}) {
  const seen = [];
  let taskId;
  const stream = client.experimental.tasks.callToolStream(
    { name, arguments: args },
    CallToolResultSchema,
    { task: { ttl: 60_000 }, onprogress },
  );
  for await (const message of stream) {
    switch (message.type) {
      case "taskCreated":
        seen.push(`created ${message.task.status}`);
        taskId = message.task.taskId;
        await onTask?.(message.task);
        break;
      case "taskStatus":
        seen.push(message.task.status);
        break;
      case "result":
        return { seen, result: message.result };
      case "error":
        // The stream does not ask what a task that failed had to say.
        return {
          seen,
          error: message.error.message,
          result: await client.experimental.tasks
            .getTaskResult(taskId, CallToolResultSchema)
            .catch((error) => ({ refused: error.message })),
        };
    }
  }
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
        client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) =>
          hear(params.uri),
        );
        await client.subscribeResource({ uri });
      },
      (params) => client.readResource(params),
    ),

  native: async () => {
    const progress = [];
    const onprogress = (update) => progress.push(update.progress);
    const ran = await follow("slow_compute", { seconds: 1, label: "native" }, { onprogress });
    say("native", { ran: { ...ran, progress } });

    say("native", { failed: await follow("failing_job", {}) });

    let stopped;
    const onTask = async ({ taskId }) => {
      stopped = await client.experimental.tasks.cancelTask(taskId);
    };
    const followed = await follow("slow_compute", { seconds: 600 }, { onTask });
    say("native", { stopped: { ...followed, answer: stopped } });

    say("native", { answered: await follow("confirm_delete", { filename: "a.txt" }) });
  },
});
await client.close();
