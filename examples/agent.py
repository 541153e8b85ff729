"""An agent for Rollcall in Python 3.11+ with websockets 10 to 17 (apt install python3-websockets, or pip install
websockets): it registers this machine, beats, reports its load, and comes back after every loss. HUB_URL and
AGENT_TOKEN as for `rollcall agent`."""

import asyncio
import contextlib
import json
import os
import random
import uuid

from websockets.exceptions import ConnectionClosed, InvalidHandshake

try:
    from websockets.asyncio.client import connect

    HEADERS = "additional_headers"
except ImportError:  # before 13
    from websockets import connect

    HEADERS = "extra_headers"

HUB_URL = os.environ.get("HUB_URL", "ws://127.0.0.1:8080/agent")
TOKEN = os.environ.get("AGENT_TOKEN")
AUTHORIZATION = {HEADERS: {"Authorization": f"Bearer {TOKEN}"}} if TOKEN else {}
REGISTER = {
    "type": "register",
    "protocol": 1,
    "instanceId": str(uuid.uuid4()),  # one for each start of this process
    "node": {"hostname": os.uname().nodename, "kind": "edge", "agent": {"name": "example-py", "version": "1"}},
}
REMOVED, AT_ONCE = 4404, {1012, 4408}


async def listen(hub, timing):
    """Reads what the hub says, so that nothing waits unread: another interval counts from the next beat on."""
    with contextlib.suppress(ConnectionClosed):
        async for text in hub:
            message = json.loads(text)
            if message["type"] == "heartbeat":
                timing["intervalMs"] = message["intervalMs"]


async def session():
    """Connects, registers and beats until the connection ends. Raises how it ended."""
    async with connect(HUB_URL, ping_interval=None, **AUTHORIZATION) as hub:
        try:
            await hub.send(json.dumps(REGISTER))
            reply = json.loads(await asyncio.wait_for(hub.recv(), 10))
            if reply["type"] == "error":
                raise SystemExit(f"the hub refuses this registration: {reply['message']}")
            timing = reply["heartbeat"]
            listening = asyncio.create_task(listen(hub, timing))
            while True:
                interval = timing["intervalMs"] / 1000
                await asyncio.wait_for(await hub.ping(), interval)
                await hub.send(json.dumps({"type": "stats", "stats": {"metrics": {"load1": os.getloadavg()[0]}}}))
                await asyncio.sleep(interval)
        except TimeoutError:
            hub.transport.abort()  # a polite close would say that this agent stopped on purpose
            raise


async def main():
    failures = 0
    while True:
        started = asyncio.get_running_loop().time()
        code = None
        try:
            await session()
        except ConnectionClosed as end:
            code = end.rcvd.code if end.rcvd else None
            if code == REMOVED:
                return
        except (OSError, TimeoutError, InvalidHandshake) as error:
            print("not connected:", error)
        # Full jitter from 1 s to 60 s, begun anew after a minute that went well; longest where the hub said no.
        went_well = asyncio.get_running_loop().time() - started > 60
        failures = 0 if went_well or code in AT_ONCE else 6 if code and code >= 4400 else failures + 1
        await asyncio.sleep(random.random() * min(60, 2**failures))


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass  # the connection was closed with 1000: the node is offline at once, agent_stopped
