"""LiteLLM's proxy: its Messages endpoint on an OpenAI-compatible chat model."""

from __future__ import annotations

import json
import sys

from bench.answers import answer_for
from bench.load import HOST
from bench.targets.base import KEY, PEERS, Target, run

FOLDER = PEERS / "litellm"


class LiteLLM(Target):
    name = "litellm"
    ready_path = "/health/liveliness"
    share = 0.1

    def install(self) -> None:
        if not (FOLDER / "bin" / "litellm").exists():
            run([sys.executable, "-m", "venv", str(FOLDER)])
            run([str(FOLDER / "bin" / "pip"), "install", "--quiet", "litellm[proxy]"])

    def prepare(self) -> None:
        models = [
            {
                "model_name": model,
                "litellm_params": {
                    "model": f"{_provider(model)}/{model}",
                    "api_base": self.setting.upstream_url,
                    "api_key": "sk-bench",
                },
            }
            for model in self.setting.models
        ]
        configuration = {
            "model_list": models,
            "litellm_settings": {"use_chat_completions_url_for_anthropic_messages": True},
            "general_settings": {"master_key": KEY},
        }
        self.setting.folder.mkdir(parents=True, exist_ok=True)
        # JSON is YAML
        (self.setting.folder / "config.yaml").write_text(json.dumps(configuration, indent=1))

    def environment(self) -> dict[str, str]:
        # its price list comes with the package; without this it fetches one at each start
        return {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}

    def command(self) -> list[str]:
        configuration = str(self.setting.folder / "config.yaml")
        address = ["--host", HOST, "--port", str(self.port), "--num_workers", "1", "--telemetry", "False"]
        return [str(FOLDER / "bin" / "litellm"), "--config", configuration, *address]


def _provider(model: str) -> str:
    """Its provider for a model: as `openai`, it asks one that reasons by another protocol."""
    return "hosted_vllm" if answer_for(model).kind == "think" else "openai"
