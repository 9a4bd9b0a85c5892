"""Every door for accounts: of a running issuer, and of commands that work on the home itself."""

from typing import Final

from . import admin_audit, admin_clients, admin_roles, admin_sessions, admin_users

ROUTERS: Final = tuple(
    module.router for module in (admin_users, admin_roles, admin_clients, admin_sessions, admin_audit)
)
