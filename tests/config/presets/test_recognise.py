import pytest

from gateway.config.presets.recognise import recognised


@pytest.mark.parametrize(
    ("url", "slug", "base_url", "auth"),
    [
        ("https://api.openai.com/v1", "openai", "https://api.openai.com/v1", "bearer"),
        ("https://api.openai.com/v1/", "openai", "https://api.openai.com/v1", "bearer"),
        ("https://api.openai.com/v1/chat/completions", "openai-chat", "https://api.openai.com/v1", "bearer"),
        ("https://api.openai.com/v1/responses", "openai", "https://api.openai.com/v1", "bearer"),
        ("api.openai.com/v1", "openai", "https://api.openai.com/v1", "bearer"),
        ("https://api.anthropic.com", "anthropic", "https://api.anthropic.com", "x-api-key"),
        ("https://openrouter.ai/api/v1", "openrouter", "https://openrouter.ai/api/v1", "bearer"),
        ("https://api.deepseek.com", "deepseek", "https://api.deepseek.com", "bearer"),
        ("https://api.groq.com/openai/v1", "groq", "https://api.groq.com/openai/v1", "bearer"),
        ("http://localhost:11434/v1", "ollama", "http://localhost:11434/v1", "bearer"),
        ("http://192.168.1.5:11434/v1", "ollama", "http://192.168.1.5:11434/v1", "bearer"),
        ("localhost:1234/v1", "lm-studio", "http://localhost:1234/v1", "bearer"),
        ("127.0.0.1:8000/v1", "generic", "http://127.0.0.1:8000/v1", "bearer"),
        ("https://llm.example.com/v1", "generic", "https://llm.example.com/v1", "bearer"),
        (
            "https://r.openai.azure.com/openai/deployments/d",
            "azure-deployment",
            "https://r.openai.azure.com/openai/deployments/d",
            "api-key",
        ),
        (
            "https://r.openai.azure.com/openai/v1/",
            "azure-v1",
            "https://r.openai.azure.com/openai/v1",
            "api-key",
        ),
        ("https://r.openai.azure.com", "azure-v1", "https://r.openai.azure.com/openai/v1", "api-key"),
        (
            "https://r.services.ai.azure.com/openai/v1",
            "azure-v1",
            "https://r.services.ai.azure.com/openai/v1",
            "api-key",
        ),
    ],
)
def test_a_base_url_is_recognised(url, slug, base_url, auth):
    found = recognised(url)
    assert (found.preset.slug, found.base_url, found.auth) == (slug, base_url, auth)


@pytest.mark.parametrize(
    "url", ["http://localhost:11434/v1", "https://llm.example.com/v1", "https://r.openai.azure.com"]
)
def test_without_a_key_nothing_is_shown_to_the_server(url):
    assert recognised(url, has_key=False).auth == "none"


def test_a_deployment_url_gets_the_version_as_a_query_parameter():
    found = recognised("https://r.openai.azure.com/openai/deployments/d", api_version="2025-01-01-preview")
    assert found.query == {"api-version": "2025-01-01-preview"}


def test_a_deployment_url_without_a_version_gets_one_that_works():
    assert recognised("https://r.openai.azure.com/openai/deployments/d").query == {
        "api-version": "2025-04-01-preview"
    }


def test_a_version_in_the_url_is_used():
    url = "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2025-03-01-preview"
    found = recognised(url)
    assert found.base_url == "https://r.openai.azure.com/openai/deployments/d"
    assert found.query == {"api-version": "2025-03-01-preview"}


@pytest.mark.parametrize(
    ("version", "query"), [("2024-10-21", {}), ("", {}), ("preview", {"api-version": "preview"})]
)
def test_the_v1_url_works_with_and_without_a_version_because_azure_refuses_dated_ones_there(version, query):
    assert recognised("https://r.openai.azure.com/openai/v1", api_version=version).query == query


def test_the_bare_resource_with_a_version_means_one_deployment_per_model():
    found = recognised("https://r.openai.azure.com/", api_version="2025-01-01-preview")
    assert found.base_url == "https://r.openai.azure.com/openai/deployments/{model}"
    assert found.preset.slug == "azure-deployment"


def test_an_unknown_host_with_a_version_is_a_company_s_name_for_azure():
    found = recognised("https://ai.example.com/openai/deployments/d", api_version="2025-01-01-preview")
    assert (found.preset.slug, found.auth) == ("azure-deployment", "api-key")


def test_a_version_left_over_beside_openai_s_own_host_does_no_harm():
    found = recognised("https://api.openai.com/v1", api_version="2024-10-21")
    assert (found.preset.slug, found.query, found.auth) == ("openai", {}, "bearer")


@pytest.mark.parametrize(
    ("version", "options"),
    [
        (
            "2024-03-01-preview",
            {"max_tokens_field": "max_tokens", "reasoning": "none", "stream_usage": False},
        ),
        ("2024-10-21", {"max_tokens_field": "max_tokens", "reasoning": "none"}),
        ("2025-04-01-preview", {}),
    ],
)
def test_older_versions_of_azure_s_api_are_spoken_to_as_they_understand(version, options):
    found = recognised("https://r.openai.azure.com/openai/deployments/d", api_version=version)
    assert found.options == options


@pytest.mark.parametrize(
    "url", ["", "http://", "https://[::1", "https://x:notaport/v1", "::::", "ftp://x/v1"]
)
def test_what_is_no_web_address_is_said_in_a_sentence(url):
    with pytest.raises(ValueError, match="is not a web address"):
        recognised(url)


def test_a_path_that_names_a_protocol_chooses_it():
    assert recognised("https://llm.example.com/v1/responses").options == {"protocol": "responses"}
    assert recognised("https://llm.example.com/v1/chat/completions").options == {}
    native = recognised("https://llm.example.com/anthropic/v1/messages")
    assert (native.options, native.base_url) == (
        {"protocol": "anthropic"},
        "https://llm.example.com/anthropic",
    )
    assert recognised("https://llm.example.com/v1/responses").base_url == "https://llm.example.com/v1"


@pytest.mark.parametrize(
    ("url", "slug", "auth", "options"),
    [
        ("https://api.deepseek.com/anthropic", "deepseek", "x-api-key", {"protocol": "anthropic"}),
        ("https://api.deepseek.com/v1", "deepseek", "bearer", {}),
        ("https://api.deepseek.com/v1/responses", "deepseek", "bearer", {"protocol": "responses"}),
        ("https://api.z.ai/api/paas/v4", "zai", "bearer", {}),
        ("https://api.z.ai/api/coding/paas/v4", "zai-coding", "bearer", {}),
        ("https://api.z.ai/api/anthropic/v1/messages", "zai", "bearer", {"protocol": "anthropic"}),
        ("https://openrouter.ai/api", "openrouter", "bearer", {"protocol": "anthropic"}),
        ("https://ark.cn-beijing.volces.com/api/coding/v3", "volcengine", "bearer", {}),
        ("https://api.kimi.com/coding/v1", "kimi-code", "bearer", {}),
        ("https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/endpoints/openapi",
         "vertex", "bearer", {}),
        ("https://bedrock-mantle.us-east-1.api.aws/v1", "bedrock-mantle", "bearer", {}),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1", "bedrock", "bearer", {}),
        ("https://ark.cn-beijing.volces.com/api/coding", "volcengine", "bearer", {"protocol": "anthropic"}),
        ("https://dashscope-us.aliyuncs.com/compatible-mode/v1", "dashscope", "bearer", {}),
        ("http://localhost:30000/v1", "sglang", "bearer", {}),
        ("http://localhost:11434", "ollama", "bearer", {}),
    ],
)  # fmt: skip
def test_the_path_says_which_endpoint_of_a_service_is_meant(url, slug, auth, options):
    found = recognised(url)
    assert (found.preset.slug, found.auth, found.options) == (slug, auth, options)
