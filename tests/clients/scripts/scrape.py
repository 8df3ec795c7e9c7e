"""The metrics of a server, as the library of Prometheus reads them."""

import asyncio
import time
from urllib.parse import urljoin
from urllib.request import urlopen

from mcp import Client
from prometheus_client.parser import text_string_to_metric_families

from parts import family, say, target

ENDED = "mcp_async_tasks_ended_total"


async def play():
    async with Client(target, mode="auto") as client:

        async def call(name, arguments):
            return (await client.call_tool(name, arguments)).structured_content

        await family(call)


def scrape():
    with urlopen(urljoin(target, "/metrics"), timeout=20) as answer:
        return list(text_string_to_metric_families(answer.read().decode()))


def ended(families):
    samples = [sample for known in families for sample in known.samples if sample.name == ENDED]
    return sum(sample.value for sample in samples)


asyncio.run(play())
families = scrape()
# An end is counted a moment after its caller may read it.
give_up = time.monotonic() + 20
while ended(families) < 2 and time.monotonic() < give_up:
    families = scrape()
for known in families:
    samples = [[sample.name, sample.labels, sample.value] for sample in known.samples]
    say("scrape", name=known.name, type=known.type, help=known.documentation, samples=samples)
