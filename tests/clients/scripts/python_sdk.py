"""The Python SDK: both versions of the protocol, and no tasks of its own."""

import asyncio
import json

from mcp import Client, StdioServerParameters
from mcp_types import ElicitResult

from parts import family, over_http, parts, say, target


async def elicited(_context, params):
    say("asked", message=params.message)
    return ElicitResult(action="accept", content={"confirm": True})


async def play(mode):
    server = target if over_http else StdioServerParameters(command=target)
    async with Client(server, mode=mode, elicitation_callback=elicited) as client:
        listed = await client.list_tools()
        say("tools", names=[tool.name for tool in listed.tools], version=client.protocol_version)

        async def call(name, arguments):
            return (await client.call_tool(name, arguments)).structured_content

        if "family" in parts:
            await family(call)

        # Subscriptions of older versions are for the TypeScript SDK.
        if "resource" in parts and mode == "auto":
            task = await call("slow_compute_initiate", {"seconds": 600})
            uri = f"resource://tasks/{task['task_id']}"
            async with client.listen(resource_subscriptions=[uri]) as changes:
                await call("slow_compute_cancel", {"task_id": task["task_id"]})
                updated = await anext(changes)
            read = await client.read_resource(uri)
            say("resource", uri=uri, updated=updated.uri, read=json.loads(read.contents[0].text))

        # The server waits for those who do not know tasks.
        if "waiting" in parts:
            progress = []

            async def on_progress(current, total, message):
                progress.append(current)

            ran = await client.call_tool(
                "slow_compute",
                {"seconds": 1, "label": "waiting"},
                progress_callback=on_progress,
            )
            say("waiting", ran=ran.model_dump(by_alias=True, mode="json"), progress=progress)

            answered = await client.call_tool("confirm_delete", {"filename": "a.txt"})
            say("waiting", answered=answered.model_dump(by_alias=True, mode="json"))


for mode in ["auto", "legacy"]:
    asyncio.run(play(mode))
