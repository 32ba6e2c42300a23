"""Alipay: the open platform gateway and its asynchronous notices."""
