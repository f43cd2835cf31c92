"""One server for the tests of a file that only read and post; it starts each with a fresh service."""

from collections.abc import Iterator

import pytest
from fake_service import STATE, FakeService
from served import Served, serving


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("api") / "w.sock"
    with serving(path, FakeService(), render_metrics=lambda: "up 1\n", clock=lambda: 1010.0) as served:
        yield served


@pytest.fixture
def served(shared_server: Served) -> Served:
    service = shared_server.service
    service.state, service.records, service.marks, service.error = STATE, [], [], None
    return shared_server
