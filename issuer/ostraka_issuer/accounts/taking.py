"""What a withdrawal takes from one holder. It never says yes and leaves what was to be withdrawn.

From who has ``orders:create``, both ``orders:create`` and ``orders:*`` take it. From who has ``orders:*``, only that
takes it: the withdrawal of ``orders:create`` is refused, for there is no pattern that means the rest, and whoever asks
says what is to stay. What a user has by a role alone is refused too: the role must go, or allow less. The withdrawal of
what nobody gave is nothing to do.
"""

from collections.abc import Iterable, Sequence

from ostraka_issuer.errors import BadRequest, Conflict
from ostraka_issuer.store import Transaction
from ostraka_schemas.permissions import covered_by_any, covers, overlaps

from .holdings import permissions_in
from .names import check_permissions


def given_and_taken(grant: Sequence[str], withdraw: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is to be given and what is to be taken, each permission once.

    Raises:
        BadRequest: one is no permission, or what is given would have all of something that is taken. A part of what is
            taken may be given: that is how a pattern is made narrower.
    """
    granted, withdrawn = check_permissions(grant), check_permissions(withdraw)
    if any(covered_by_any(granted, each) for each in withdrawn):
        raise BadRequest("the same is to be given and taken")
    return granted, withdrawn


def taken(held: Iterable[str], withdrawn: Sequence[str]) -> tuple[str, ...]:
    """What of ``held`` goes: all that something of ``withdrawn`` covers.

    Raises:
        Conflict: something that is held stays, and allows a part of what is withdrawn.
    """
    gone: list[str] = []
    stays: list[str] = []
    for permission in held:
        (gone if covered_by_any(withdrawn, permission) else stays).append(permission)
    for each in withdrawn:
        for permission in stays:
            if overlaps(permission, each):
                raise Conflict(
                    f"{each} is allowed by {permission}, which goes only as a whole: withdraw {permission}, and grant "
                    "what is to stay"
                )
    return tuple(gone)


async def insist_not_by_role(
    tx: Transaction, roles: Sequence[str], withdrawn: Sequence[str], gone: Sequence[str]
) -> None:
    """Refuse a withdrawal that would do nothing, because a user has it by a role.

    Args:
        roles: those that the user still has.
        gone: what was taken of the user's own grants.

    Raises:
        Conflict: names the role.
    """
    idle = [each for each in withdrawn if not any(covers(each, permission) for permission in gone)]
    for role in roles if idle else ():
        allowed = await permissions_in(tx, role)
        for each in idle:
            if any(overlaps(permission, each) for permission in allowed):
                raise Conflict(f"{each} is allowed by the role {role}: take the role, or withdraw it from the role")
