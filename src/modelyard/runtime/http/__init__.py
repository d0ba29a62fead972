"""HTTP/1.1 for the runtime: an own `asyncio.Protocol` on httptools, and the V2 endpoints."""
