"""Coroutines: time-outs, task groups, gathers, async generators."""

import asyncio

from shop import reports


async def slow():
    await asyncio.sleep(30)


async def report_sales(wait_s):
    return await asyncio.wait_for(slow(), wait_s)


async def report_stock(wait_s):
    return await asyncio.wait_for(slow(), wait_s)


async def fetch_rate(rates, name):
    await asyncio.sleep(0)
    return rates[name]["value"]


async def fetch_name(names, key):
    await asyncio.sleep(0)
    return names[key].strip()


async def rates_of(names):
    return await asyncio.gather(*(fetch_rate({}, name) for name in names))


async def sync_all(names):
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(fetch_rate({}, name))


async def sync_mixed(names):
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(fetch_rate({}, name))
            group.create_task(fetch_name({name: None}, name))


async def pages(count):
    for number in range(count):
        await asyncio.sleep(0)
        yield 10 // (count - 1 - number)


async def collect(count):
    return [page async for page in pages(count)]


async def in_thread(rows):
    return await asyncio.to_thread(reports.monthly, rows)
