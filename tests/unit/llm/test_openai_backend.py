"""What becomes of an answer by the way in which a server gives it, or does not; and where its key is found after."""

from __future__ import annotations

import logging
import math
import threading
import time
import traceback
from pathlib import Path

import numpy as np
import pytest

from stages.llm.backend import Choice, Completion, Refusal, Sampling
from stages.llm.cache import CachedModel, ResponseCache
from stages.llm.openai_backend import OpenAIBackend
from stages.llm.top_logprobs import Place, distribution, voted
from stages.running.errors import BackendError, ModelError
from tests.served import answering, backend_of

ANSWERS = ["КАТЕГОРИЯ: одежда", "КАТЕГОРИЯ: обувь"]
USAGE = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 64}}
KEY = "sk-5f0c1e7d9a-secret"
VOTES = {"probabilities": "votes", "votes": 1, "retries": 0}


def chat(text, logprobs=None, finish="stop", **message):
    choice = {"message": {"content": text, **message}, "finish_reason": finish, "logprobs": logprobs}
    return {"choices": [choice], "usage": USAGE}


def chosen(answer):
    return chat(f'{{"answer": "{answer}"}}')


def said(body):
    return body["messages"][0]["content"]


def one_error(status, message="no", headers=None, **error):
    return status, {"error": {"message": message, **error}}, headers or {}


def test_a_server_that_asks_to_wait_is_asked_again_when_it_said(tmp_path: Path) -> None:
    times = []

    def answers(path, body, before):
        times.append(time.monotonic())
        return one_error(429, headers={"Retry-After": "0.7"}) if not before else (200, chosen(ANSWERS[1]), {})

    with answering(answers) as url:
        backend = backend_of(tmp_path, url, **VOTES | {"retries": 2})
        [(_, choice)] = backend.choose([backend.render("Туфли")], ANSWERS)
    assert isinstance(choice, Choice)
    assert choice.logprobs[1] > choice.logprobs[0]
    assert len(times) == 2
    # The client's own first wait would be half a second at most.
    assert times[1] - times[0] > 0.65


def test_what_fails_on_one_prompt_costs_no_other_its_answer(tmp_path: Path) -> None:
    def answers(path, body, before):
        text = said(body)
        if "сбой" in text:
            return one_error(500)
        if "долго" in text:
            time.sleep(1.5)
        if "длинно" in text:
            return one_error(400, "maximum context length is 512 tokens", param="input_tokens")
        if "нельзя" in text:
            return 200, chat("", finish="content_filter"), {}
        if "иначе" in text:
            return 200, chat("мебель"), {}
        if "чушь" in text:
            return 200, ["no", "choices"], {}
        if "отказ" in text:
            return 200, chat(None, refusal="I cannot"), {}
        return 200, chosen(ANSWERS[0]), {}

    kinds = {
        "хорошо": None,
        "сбой": "the server refuses it (500: no)",
        "долго": "no answer within server.timeout=0.5 seconds",
        "длинно": "maximum context length is 512",
        "нельзя": "content filter",
        "иначе": "'мебель', which is none of the answers",
        "чушь": "no JSON mapping",
        "отказ": "the model declines: 'I cannot'",
        "и это": None,
    }
    with answering(answers) as url:
        backend = backend_of(tmp_path, url, **VOTES, timeout=0.5)
        model = CachedModel(backend)
        given = model.choose([backend.render(kind) for kind in kinds], ANSWERS, "x")
    for answer, (kind, reason) in zip(given, kinds.items(), strict=True):
        if reason is None:
            assert isinstance(answer, Choice), kind
        else:
            assert isinstance(answer, Refusal), kind
            assert reason in answer.reason
    assert len(model.cache) == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (one_error(401, f"Incorrect key {KEY}"), r"refuses the key \(401: Incorrect key \*\*\*\).*RAZMETKA_TEST_KEY"),
        (one_error(403), "refuses the key"),
        (one_error(404, "no model tiny"), "no model tiny.*make doctor"),
        (one_error(429, "quota exceeded"), "takes no more requests for now.*quota exceeded.*goes on from there"),
        (one_error(503), "takes no more requests for now"),
        (one_error(400, param="response_format"), "does not take our requests"),
        (one_error(400, code="unsupported_parameter", param="max_tokens"), "does not take our requests"),
    ],
    ids=["401", "403", "404", "429", "503", "400 format", "400 parameter"],
)
def test_what_no_prompt_can_be_asked_through_ends_the_run(given, words, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RAZMETKA_TEST_KEY", KEY)
    with answering(lambda path, body, before: given) as url:
        backend = backend_of(tmp_path, url, **VOTES, key_variable="RAZMETKA_TEST_KEY")
        with pytest.raises(BackendError, match=words) as raised:
            CachedModel(backend).choose([backend.render("Туфли")], ANSWERS, "x")
    assert KEY not in "".join(traceback.format_exception(raised.value))


def test_answers_that_came_before_the_end_of_a_run_are_kept(tmp_path: Path) -> None:
    def answers(path, body, before):
        return one_error(401) if "последний" in said(body) else (200, chosen(ANSWERS[0]), {})

    with answering(answers) as url:
        backend = backend_of(tmp_path, url, **VOTES, concurrency=1)
        model = CachedModel(backend)
        with pytest.raises(BackendError):
            model.choose([backend.render(text) for text in ("один", "два", "последний")], ANSWERS, "x")
    assert len(model.cache) == 2


def test_a_server_that_is_not_there_ends_the_run_and_is_no_refusal(tmp_path: Path) -> None:
    backend = backend_of(tmp_path, "http://127.0.0.1:1/v1", retries=0)
    with pytest.raises(BackendError, match=r"tiny at http://127\.0\.0\.1:1/v1 does not answer"):
        CachedModel(backend).choose([backend.render("Туфли")], ANSWERS, "x")


def test_the_key_reaches_the_server_and_nothing_else(tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.setenv("RAZMETKA_TEST_KEY", f"{KEY}\n")
    caplog.set_level(logging.DEBUG)
    headers = []

    def answers(path, body, before):
        def content(received):
            headers.append(received["Authorization"])
            return chosen(ANSWERS[0])

        return 200, content, {}

    with answering(answers) as url:
        backend = backend_of(tmp_path, url, **VOTES, key_variable="RAZMETKA_TEST_KEY")
        CachedModel(backend).choose([backend.render("Туфли")], ANSWERS, "x")
    assert headers == [f"Bearer {KEY}"]
    assert KEY not in backend.identity + repr(vars(backend)) + caplog.text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"responses.sqlite", "server.json", "provenance.json"} <= {path.name for path in files}
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_a_key_that_no_header_can_hold_is_not_quoted(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ключ")
    backend = backend_of(tmp_path, "http://127.0.0.1:1/v1")
    with pytest.raises(BackendError, match="OPENAI_API_KEY holds no key") as raised:
        list(backend.complete([""], [Sampling(1)]))
    assert "sk-ключ" not in "".join(traceback.format_exception(raised.value))


def test_no_more_requests_are_open_than_allowed_nor_more_a_minute(tmp_path: Path) -> None:
    open_now, most, lock = 0, 0, threading.Lock()

    def answers(path, body, before):
        nonlocal open_now, most
        with lock:
            open_now += 1
            most = max(most, open_now)
        time.sleep(0.02)
        with lock:
            open_now -= 1
        return 200, chosen(ANSWERS[0]), {}

    with answering(answers) as url:
        backend = backend_of(tmp_path, url, **VOTES, concurrency=3)
        prompts = [backend.render(f"Отзыв {number}") for number in range(12)]
        assert len(list(backend.choose(prompts, ANSWERS))) == 12
        assert most == 3
        slow = backend_of(tmp_path, url, **VOTES, requests_per_minute=1200)
        start = time.monotonic()
        assert len(list(slow.choose(prompts, ANSWERS))) == 12
        assert time.monotonic() - start > 11 * 60 / 1200
        # A question of 107 tokens, as the server counts it, is the eleventh part of a second here.
        slow = backend_of(tmp_path, url, **VOTES, tokens_per_minute=60 * 1177, concurrency=1)
        start = time.monotonic()
        assert len(list(slow.choose(prompts[:5], ANSWERS))) == 5
        assert 0.3 < time.monotonic() - start < 3


def test_what_answers_took_is_kept_with_them(tmp_path: Path) -> None:
    with answering(lambda path, body, before: (200, chosen(ANSWERS[0]), {})) as url:
        backend = backend_of(tmp_path, url, **VOTES | {"votes": 3})
        prompts = [backend.render(text) for text in ("Платье", "Юбка")]
        first = CachedModel(backend)
        given = first.choose(prompts, ANSWERS, "x")
    assert (first.spent.requests, first.spent.prompt, first.spent.cached, first.spent.written) == (6, 600, 384, 42)
    again = CachedModel(backend, ResponseCache())
    assert again.choose(prompts, ANSWERS, "x") == given
    assert (again.asked, again.spent) == (0, first.spent)


def test_votes_say_that_they_are_no_probabilities(tmp_path, caplog) -> None:
    drawn = [ANSWERS[0], ANSWERS[0], ANSWERS[1]]
    seeds = []

    def answers(path, body, before):
        seeds.append((body["seed"], body["temperature"]))
        return 200, chosen(drawn[before]), {}

    with answering(answers) as url:
        backend = backend_of(tmp_path, url, **VOTES | {"votes": 3})
        [(_, choice)] = backend.choose([backend.render("Платье")], ANSWERS)
    assert seeds == [(0, 1.0), (1, 1.0), (2, 1.0)]
    np.testing.assert_allclose(np.exp(choice.logprobs), [2.5 / 4, 1.5 / 4])
    assert "the probabilities of answers are no exact ones, server.probabilities=votes" in caplog.text


def test_log_probabilities_that_do_not_come_are_not_made_up(tmp_path: Path) -> None:
    with answering(lambda path, body, before: (200, chosen(ANSWERS[0]), {})) as url:
        backend = backend_of(tmp_path, url, probabilities="top", retries=0)
        for ask in (
            lambda: backend.choose([backend.render("Платье")], ANSWERS),
            lambda: backend.complete([backend.render("Платье")], [Sampling(8)]),
        ):
            with pytest.raises(BackendError, match=r"tells no log-probabilities: set server\.probabilities=votes"):
                list(ask())
        backend = backend_of(tmp_path, url, **VOTES)
        [(_, text)] = backend.complete([backend.render("Платье")], [Sampling(8)])
        assert isinstance(text, Completion)
        assert text.mean_logprob is None
        assert CachedModel(backend).complete([backend.render("Юбка")], [Sampling(8)], "x") == [text]


@pytest.mark.parametrize(
    ("start", "text", "kept"),
    [
        ("", "<think>\nплатье?\n</think>\n\nОтзыв.\nЕщё", "Отзыв."),
        ("КАТЕГОРИЯ: обувь\nПОЯСНЕНИЕ:", "КАТЕГОРИЯ: обувь\nПОЯСНЕНИЕ: туфли.\nЕщё", " туфли."),
        ("КАТЕГОРИЯ: обувь\nПОЯСНЕНИЕ:", "ПОЯСНЕНИЕ: туфли.", " туфли."),
        ("КАТЕГОРИЯ: обувь\nПОЯСНЕНИЕ:", "\nтуфли.\n", "туфли."),
    ],
    ids=["thoughts", "all again", "last line again", "goes on"],
)
def test_a_text_is_what_comes_after_thoughts_and_the_start_of_the_answer(start, text, kept, tmp_path) -> None:
    with answering(lambda path, body, before: (200, chat(text), {})) as url:
        backend = backend_of(tmp_path, url, **VOTES)
        [(_, given)] = backend.complete([backend.render("Отзыв") + start], [Sampling(8, stop=("\n",))])
    assert given.text == kept


def test_thoughts_without_an_end_are_refused(tmp_path: Path) -> None:
    with answering(lambda path, body, before: (200, chat("<think>\nтак", finish="length"), {})) as url:
        backend = backend_of(tmp_path, url, **VOTES)
        [(_, given)] = backend.choose([backend.render("Отзыв")], ANSWERS)
    assert "raise server.thinking_tokens" in given.reason


def test_control_tokens_of_the_common_families_are_broken() -> None:
    backend = OpenAIBackend.__new__(OpenAIBackend)
    tokens = ["<|im_end|>", "</s>", "<start_of_turn>", "<end_of_turn>", "<think>", "</think>", "<<SYS>>", "[INST]",
              "[/INST]", "[gMASK]", "<|start_header_id|>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "<eos>",
              "[TOOL_CALLS]", "<|turn>", "<turn|>"]  # fmt: skip
    for token in tokens:
        broken = backend.neutralise(f"до {token} после")
        assert token not in broken, token
        assert broken.replace(" ", "") == f"до{token}после"
        assert backend.neutralise(broken) == broken
    assert backend.neutralise("a < b, 5 <3, [текст] и [1]\x1euser\x1f") == "a < b, 5 <3, [текст] и [1]user"


def place(written, **likely):
    return Place(written.encode(), {written.encode(): likely.pop("p", 0.0)} | {
        token.encode(): logprob for token, logprob in likely.pop("others", {}).items()})  # fmt: skip


def test_likeliest_tokens_make_a_distribution() -> None:
    log = math.log
    tokens = [
        place('{"'), place("answer"), place('":"'),
        place("об", p=log(0.6), others={"оде": log(0.2), "о": log(0.05), "дом": log(0.1), "xyz": log(0.01)}),
        place("увь", p=log(0.99), others={"ои": log(0.01)}),
        place('"}'),
    ]  # fmt: skip
    logprobs, mass = distribution(tokens, ["обувь", "обои", "одежда", "дом", "книги"], 0)
    # "о" goes on to three of them. What is left of the first place is 0.04: a fifth of it, or the least token's 0.01.
    expected = np.array([0.6 * 0.99 + 0.05 / 3, 0.6 * 0.01 + 0.05 / 3, 0.2 + 0.05 / 3, 0.1, 0.008])
    np.testing.assert_allclose(np.exp(logprobs), expected / expected.sum())
    assert mass == pytest.approx(0.95)


def test_an_answer_that_begins_another_is_told_apart_by_what_closes_it() -> None:
    tokens = [place('"дом'), place('"', p=math.log(0.7), others={" и": math.log(0.3)})]
    logprobs, mass = distribution(tokens, ["дом", "дом и сад"], 0)
    np.testing.assert_allclose(np.exp(logprobs), [0.7, 0.3])
    assert mass == pytest.approx(1.0)


def test_letters_in_parts_and_as_ascii_are_read() -> None:
    first, second = "о".encode()[:1], "о".encode()[1:]
    tokens = [Place(first, {first: 0.0}), Place(second, {second: math.log(0.9), "д".encode()[1:]: math.log(0.1)})]
    np.testing.assert_allclose(np.exp(distribution(tokens, ["о", "д"], 0)[0]), [0.9, 0.1])
    tokens = [place('"\\u043e', p=math.log(0.8), others={'"\\u0434': math.log(0.2)}), place('"')]
    np.testing.assert_allclose(np.exp(distribution(tokens, ["о", "д"], 0)[0]), [0.8, 0.2])
    with pytest.raises(ValueError, match="do not spell 'о'"):
        distribution([place("нет")], ["о", "д"], 0)


def test_votes_of_nobody_leave_no_answer_impossible() -> None:
    np.testing.assert_allclose(np.exp(voted([2], 9))[2], 10 / 18)
    assert np.exp(voted([0, 0, 1], 4)).sum() == pytest.approx(1)


def test_a_folder_without_a_server_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"names no server: server\.json is missing; compose with teacher=openai"):
        OpenAIBackend(tmp_path, None)
