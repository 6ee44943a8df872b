"""HTTP for people: the console, built on Django's admin. One module for each kind of record."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from gateway.admin.caching import caching_page
from gateway.admin.costs import costs_page
from gateway.admin.evaluations import dataset_list, evaluation_list
from gateway.admin.keys import client_keys, refused_keys
from gateway.admin.mappings import model_mappings, model_prices, safeguard_rules, safety_verdicts
from gateway.admin.outcomes import models_page
from gateway.admin.oversight import changes, emergency_stop, novelties, people, retention
from gateway.admin.people import client_policies, person_budgets
from gateway.admin.problems import notifications, problem_list
from gateway.admin.providers import learnt_options, provider_admin, search_engines, token_factors
from gateway.admin.requests import request_logs
from gateway.admin.sessions import session_list
from gateway.admin.ui.login_form import LoginForm

__all__ = [
    "caching_page",
    "changes",
    "client_keys",
    "client_policies",
    "costs_page",
    "dataset_list",
    "emergency_stop",
    "evaluation_list",
    "learnt_options",
    "model_mappings",
    "model_prices",
    "models_page",
    "notifications",
    "novelties",
    "people",
    "person_budgets",
    "problem_list",
    "provider_admin",
    "refused_keys",
    "request_logs",
    "retention",
    "safeguard_rules",
    "safety_verdicts",
    "search_engines",
    "session_list",
    "token_factors",
]

admin.site.site_header = "ccproxy"
admin.site.site_title = "ccproxy"
admin.site.index_title = _("Dashboard")
admin.site.login_form = LoginForm
admin.site.login_template = "admin/gateway/login.html"
admin.site.index_template = "admin/gateway/index.html"
