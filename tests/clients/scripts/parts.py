"""What the Python scripts have in common; see `parts.mjs`."""

import json
import sys

target, *parts = sys.argv[1:]
over_http = target.startswith("http:")


def say(part, **what):
    print(json.dumps({"part": part, **what}), flush=True)


async def family(call):
    """The tools of a family, which any client can call."""
    task = await call("slow_compute_initiate", {"seconds": 1, "label": "family"})
    while not task["done"]:
        task = await call("slow_compute_status", {"task_id": task["task_id"], "wait_seconds": 20})
    say("family", ran=task)

    long = await call("slow_compute_initiate", {"seconds": 600})
    stopped = await call("slow_compute_cancel", {"task_id": long["task_id"]})
    say("family", stopped=stopped)
