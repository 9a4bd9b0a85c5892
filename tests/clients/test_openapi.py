"""What the OpenAPI document promises holds for whatever schemathesis makes up.

Left out is its check that nothing is refused that a schema lets through: that a name is printable, or that one field
needs another, is said in words and answered with 400 or 422.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import positive_data_acceptance

from ostraka_issuer.accounts.offline import open_accounts
from ostraka_issuer.http.app import create_app
from ostraka_issuer.settings import load_settings
from tests.clients.service import Service, make_service
from tests.kafka.broker import Broker
from tests.support.stack import PASSWORD, running_issuer

EXAMPLES = 20
ADMINISTRATOR = "administrator"
WAIT = "0.05"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(kafka: Broker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """An issuer of its own: nothing in it is safe."""
    directory = tmp_path_factory.mktemp("openapi") / "home"
    made = await make_service(directory, kafka, f"openapi-{directory.parent.name}.feed")
    values = {name.removeprefix("OSTRAKA_").lower(): value for name, value in made.home.environment.items()}
    async with open_accounts(load_settings(**values)) as accounts:
        await accounts.add_user(ADMINISTRATOR, PASSWORD, ["*:*"])
    async with running_issuer(made.home):
        yield made


def operations() -> dict[str, Any]:
    """Every operation of the document, by its name."""
    document = create_app(load_settings()).openapi()
    found: list[Any] = list(schemathesis.openapi.from_dict(document).get_all_operations())
    return {result.ok().label: result.ok() for result in found}


OPERATIONS = operations()


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_it_keeps_what_its_document_promises(name: str, own: Service) -> None:
    operation = OPERATIONS[name]
    headers = authorization(own)

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        if "wait" in (case.query or {}):
            case.query["wait"] = WAIT  # Up to half a minute would be allowed.
        case.call_and_validate(base_url=own.url, headers=headers, excluded_checks=[positive_data_acceptance])

    ask()


def authorization(own: Service) -> dict[str, str]:
    """Of somebody who may do everything, as long as none of the cases has put an end to that."""
    answer = httpx.post(f"{own.url}/login", json={"username": ADMINISTRATOR, "password": PASSWORD}, trust_env=False)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"} if answer.status_code == 200 else {}
