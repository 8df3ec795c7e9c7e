"""FastMCP's client: 2026-07-28, with tasks by `fastmcp-tasks`."""

import asyncio

import fastmcp_tasks
from fastmcp import Client
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError
from fastmcp_tasks.client_models import CancelTaskRequest, GetTaskRequest, UpdateTaskRequest

from parts import family, over_http, parts, say, target

# Over HTTP the specification wants the task's id in a header too, and rmcp
# insists on it; version 4.1.4 does not say so to the SDK below it.
for request in [GetTaskRequest, UpdateTaskRequest, CancelTaskRequest]:
    request.name_param = "taskId"


async def elicited(message, _response_type, _params, _context):
    say("asked", message=message)
    return ElicitResult(action="accept", content={"confirm": True})


def text(result):
    return [block.model_dump(by_alias=True, mode="json") for block in result.content]


async def native(client):
    # The client follows the task by itself.
    ran = await client.call_tool("slow_compute", {"seconds": 1, "label": "native"})
    say("native", ran={"content": text(ran)})

    for name in ["failing_job", "protocol_error_job"]:
        try:
            await client.call_tool(name, {})
            say("native", **{name: {"error": None}})
        except ToolError as error:
            say("native", **{name: {"error": str(error)}})

    task = await fastmcp_tasks.call_tool_task(client, "slow_compute", {"seconds": 600})
    before = await task.status()
    await task.cancel()
    after = await task.wait(timeout=20)
    say("native", stopped={"before": before.status, "after": after.status})

    answered = await client.call_tool("confirm_delete", {"filename": "a.txt"})
    say("native", answered={"content": text(answered)})


async def play():
    server = target if over_http else StdioTransport(command=target, args=[])
    async with Client(server, elicitation_handler=elicited) as client:
        tools = await client.list_tools()
        say("tools", names=[tool.name for tool in tools])

        async def call(name, arguments):
            return (await client.call_tool(name, arguments)).structured_content

        if "family" in parts:
            await family(call)
        if "native" in parts:
            await native(client)


asyncio.run(play())
