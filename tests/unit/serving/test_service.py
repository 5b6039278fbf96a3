"""What every answer of the service has, and who may ask."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from stages.serving.app import create_app
from stages.serving.settings import Settings


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(create_app(Settings(model=None)), base_url="http://127.0.0.1:8000") as client:
        yield client


def test_a_style_sheet_comes_with_the_headers_of_every_answer(client: TestClient) -> None:
    answer = client.get("/static/style.css")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["shop.example", "127.0.0.1.shop.example", ""])
def test_another_name_that_leads_here_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/static/style.css", headers={"host": host})
    assert answer.status_code == 400
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize("origin", ["http://shop.example", "null", "http://127.0.0.1:9000"])
def test_a_page_of_another_site_may_not_send_anything(client: TestClient, origin: str) -> None:
    answer = client.post("/static/style.css", headers={"origin": origin})
    assert answer.status_code == 403
    assert origin in answer.json()["detail"]
    assert client.post("/static/style.css", headers={"origin": "http://127.0.0.1:8000"}).status_code == 405
