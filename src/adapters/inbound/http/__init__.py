"""The merchant API, channel notices, health and metrics over HTTP: Litestar outside, msgspec structs on the wire."""
