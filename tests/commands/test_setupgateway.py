import dataclasses
import io
import json
import urllib.error

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db.utils import OperationalError

from gateway.conf import GatewayConf
from gateway.config.startup.environment import take_over_provider
from gateway.management import ollama
from gateway.management.commands import setupgateway
from gateway.models import ClientKey, ConfigStamp, ModelMapping, Provider

pytestmark = pytest.mark.django_db

USUAL = GatewayConf()


@pytest.fixture
def run(monkeypatch):
    def run(conf=USUAL, models=None):
        monkeypatch.setattr(setupgateway, "gateway_conf", lambda: conf)
        monkeypatch.setattr(setupgateway, "ollama_models", lambda: models)
        out = io.StringIO()
        call_command("setupgateway", stdout=out)
        return out.getvalue()

    return run


def changed(**values):
    return dataclasses.replace(USUAL, **values)


def test_a_first_start_without_a_provider_says_that_the_demo_answers_and_what_to_do(run):
    text = run()
    assert "Only the built-in demo answers now." in text
    assert "put OPENAI_API_KEY=... into .env" in text
    assert ModelMapping.objects.filter(targets__provider__slug="demo").exists()


def test_the_lines_for_claude_code_can_be_pasted(run):
    assert (
        "\n  export ANTHROPIC_BASE_URL=http://127.0.0.1:8082"
        "\n  export ANTHROPIC_AUTH_TOKEN=anything"
        "\n  claude\n"
    ) in run()


def test_the_password_is_printed_once_and_works(run):
    text = run()
    password = text.split("User admin, password ")[1].split()[0]
    assert get_user_model().objects.get(username="admin").check_password(password)
    assert "password" not in run()
    # beside the one to whom changes of the environment belong
    assert get_user_model().objects.filter(is_active=True).count() == 1


def test_an_ordinary_user_named_admin_is_not_raised(run):
    get_user_model().objects.create_user("admin")
    assert "User ccproxy-admin, password " in run()
    assert not get_user_model().objects.get(username="admin").is_superuser


def test_a_second_run_changes_nothing(run):
    run()
    before = ConfigStamp.current()
    run()
    assert ConfigStamp.current() == before


def test_the_provider_of_the_environment_is_named_with_its_models_and_without_its_key(run):
    text = run(changed(openai_api_key="sk-hush", big_model="b", middle_model="m", small_model="s"))
    assert "OpenAI, https://api.openai.com/v1" in text
    assert "*haiku* to s, *sonnet* to m, *opus* to b" in text
    assert "sk-hush" not in text
    assert "demo" not in text


def test_models_that_another_service_cannot_have_are_pointed_out(run):
    text = run(changed(openai_base_url="http://localhost:11434/v1"))
    assert "BIG_MODEL is still gpt-4o" in text
    text = run(changed(openai_base_url="http://localhost:11434/v1", big_model="qwen3-coder"))
    assert "still" not in text


def test_a_provider_taken_over_is_said_because_the_environment_no_longer_counts(run):
    conf = changed(openai_api_key="sk-hush")
    run(conf)
    take_over_provider(Provider.objects.get(), conf)
    assert "was taken over in the admin" in run(conf)


def test_anthropic_api_key_is_pointed_to_and_not_echoed(run):
    text = run(changed(anthropic_api_key="team-secret-of-ours"))
    assert "ANTHROPIC_AUTH_TOKEN=...   # the value of ANTHROPIC_API_KEY in .env" in text
    assert "team-secret" not in text


def test_with_client_keys_the_way_to_a_new_one_is_shown(run):
    ClientKey.issue("Ann")
    assert "# a client key; make one with: " in run()


def test_on_a_public_address_without_keys_the_way_to_one_is_shown_and_the_address_can_be_opened(run):
    text = run(changed(host="0.0.0.0"))
    assert "createclientkey NAME" in text
    assert "http://127.0.0.1:8082/admin/" in text
    assert "0.0.0.0" not in text


def test_an_ollama_that_answers_is_offered_with_the_line_to_use_it(run):
    text = run(models=["llama3:8b", "qwen3-coder:30b"])
    assert (
        "OPENAI_BASE_URL=http://127.0.0.1:11434/v1 "
        "BIG_MODEL=qwen3-coder:30b SMALL_MODEL=qwen3-coder:30b make run" in text
    )


def test_an_ollama_without_models_is_offered_with_the_line_to_get_one(run):
    assert "ollama pull" in run(models=[])


def test_nothing_is_said_of_ollama_when_a_provider_is_set(run):
    assert "Ollama" not in run(changed(openai_api_key="sk"), models=["x"])


def test_a_database_without_tables_is_said_with_the_next_step(run, monkeypatch):
    def broken(_):
        raise OperationalError("no such table: gateway_provider")

    monkeypatch.setattr(setupgateway, "sync_environment", broken)
    with pytest.raises(CommandError, match=r"manage\.py migrate"):
        run()


def test_a_base_url_that_is_none_is_said_without_a_traceback(run):
    with pytest.raises(CommandError, match="is not a web address"):
        run(changed(openai_base_url="ftp://x"))


# --- the look for Ollama ---------------------------------------------------------


def answering(body):
    return lambda url: io.BytesIO(body)


def test_ollama_s_models_are_listed_without_those_for_embeddings():
    body = json.dumps({"models": [{"name": "qwen3:8b"}, {"name": "nomic-embed-text"}]}).encode()
    assert ollama.ollama_models(answering(body)) == ["qwen3:8b"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"models": 5}', b'{"models": [{}]}'])
def test_something_else_on_ollama_s_port_is_not_taken_for_it(body):
    assert ollama.ollama_models(answering(body)) is None


def test_nothing_on_ollama_s_port_is_no_error():
    def refused(url):
        raise urllib.error.URLError("refused")

    assert ollama.ollama_models(refused) is None


def test_an_azure_deployment_is_named_as_what_answers(run):
    text = run(
        changed(
            openai_api_key="sk-hush", openai_base_url="https://r.openai.azure.com/openai/deployments/house"
        )
    )
    assert "*opus* to house" in text and "gpt-4o" not in text and "has ended" not in text
