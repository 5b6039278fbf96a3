"""What every answer of the service has, and who may ask."""

import re
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


def test_every_style_sheet_that_a_page_names_is_there(client: TestClient) -> None:
    named = re.findall(r'rel="stylesheet" href="([^"]+)"', client.get("/docs").text)
    assert named == ["/static/look.css", "/static/style.css"]
    for path in named:
        assert client.get(path).headers["content-type"].startswith("text/css")
    # What lies beside the shared sheet is nobody's.
    assert client.get("/static/templates.py").status_code == client.get("/static/../templates.py").status_code == 404


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
