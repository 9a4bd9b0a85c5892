import pytest

from ostraka_issuer.store import Store


@pytest.fixture
def store(any_store: Store) -> Store:
    return any_store
