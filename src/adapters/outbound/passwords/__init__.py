"""Passwords by argon2id and one-time passwords by time."""

from adapters.outbound.passwords.argon2id import Argon2Passwords as Argon2Passwords
from adapters.outbound.passwords.totp import PyotpTotp as PyotpTotp
