"""`POST /predict`: the categories of one text or of many."""

from __future__ import annotations

from typing import Any, Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from stages.serving.asking import Answer, Asking
from stages.serving.body import asked


class Question(BaseModel):
    """One `text` or many `texts`; with `probabilities` those of all categories are answered."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str | None = None
    texts: list[str] | None = Field(default=None, min_length=1)
    probabilities: bool = False

    @model_validator(mode="after")
    def _require_one(self) -> Self:
        if (self.text is None) == (self.texts is None):
            raise ValueError('send one of "text", a string, and "texts", a list of strings')
        return self


class Category(BaseModel):
    """The likeliest category and its probability; null for a text without letters or signs that mean anything."""

    category: str | None
    confidence: float | None
    probabilities: dict[str, float] | None = None


class Categories(BaseModel):
    """An answer for each of the texts, in their order."""

    answers: list[Category]


def prediction_router(asking: Asking) -> APIRouter:
    """The router."""
    router = APIRouter()

    @router.post(
        "/predict",
        summary="Classify one text or many",
        response_model_exclude_unset=True,
        openapi_extra={"requestBody": json_body(Question, {"text": "Сапоги натёрли пятку"})},
    )
    async def predict(request: Request) -> Category | Categories:
        question = await asked(request, Question, asking.limits)
        if question.texts is None:
            (answer,) = await asking.answers(request, [str(question.text)])
            return category(answer, asking.labels, question.probabilities)
        answers = await asking.answers(request, question.texts)
        return Categories(answers=[category(answer, asking.labels, question.probabilities) for answer in answers])

    return router


def category(answer: Answer, labels: list[str], probabilities: bool = False) -> Category:
    """What is said of a text."""
    if answer is None:
        return Category(category=None, confidence=None)
    shares = answer[0].round(4).tolist()
    best = answer[0].argmax()
    made = Category(category=labels[best], confidence=shares[best])
    if probabilities:
        made.probabilities = dict(zip(labels, shares, strict=True))
    return made


def json_body(kind: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """How OpenAPI describes a body that is read here and not by FastAPI, which would read it whole, however large."""
    return {"required": True, "content": {"application/json": {"schema": kind.model_json_schema(), "example": example}}}
