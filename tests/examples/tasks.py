# SPDX-License-Identifier: LGPL-2.1-or-later
"""tasks.c for Python's asyncio, line for line; a test runs both and compares what they print."""

import asyncio


async def countdown(name, left):
    while left > 0:
        print(name, left)
        await asyncio.sleep(1)
        left -= 1
    print("done!")


async def main():
    task_a = asyncio.create_task(countdown("A", 3))
    task_b = asyncio.create_task(countdown("B", 2))
    await asyncio.sleep(1)
    print("Doing something else...")
    await task_a
    await task_b


asyncio.run(main())
