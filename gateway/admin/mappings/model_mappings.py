"""Model mappings: ordered rules, and a tester for them."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.admin.mappings.condition_form import COMMON, MORE, ConditionFields, used_fields
from gateway.admin.mappings.mapping_order import new_position, out_of_force, warn_of_unreached, why_never
from gateway.admin.mappings.mapping_targets import ShadowInline, TargetInline
from gateway.admin.mappings.ramp_page import ramp_view
from gateway.admin.mappings.route_tester import tested, tester
from gateway.admin.mappings.rule_presets import USUAL_TOKENS, make_rule, offered
from gateway.admin.providers.learnt_options import boxes
from gateway.admin.ui.base import EmptyState
from gateway.admin.ui.env_owned_admin import OwnedRecordAdmin
from gateway.admin.ui.fields import LinesField, OptionsField
from gateway.admin.ui.html_format import ago, badge, code, number
from gateway.config.changes import together
from gateway.config.explain.option_provenance import options_of_mapping
from gateway.config.explain.unmapped_models import unmatched_names
from gateway.config.learnt_options import of_mapping
from gateway.config.model_lifecycle.targets import ending_targets, ending_text, replace_model
from gateway.config.snapshot.rules import mapping_rules
from gateway.config.snapshot.shares import shares_of_mapping
from gateway.config.startup.environment import take_over_mapping
from gateway.models import Decision, ModelMapping, Origin
from gateway.models.configuration.condition_words import condition_in_words
from gateway.routing.shares import shares_of


class ModelMappingForm(ConditionFields):
    """A mapping with its conditions as fields."""

    public_names = LinesField(
        label=gettext_lazy("Public names"),
        help_text=gettext_lazy(
            "One a line: listed in GET /v1/models and accepted like exact names. Claude Code shows those "
            "that contain claude or anthropic."
        ),
    )
    options = OptionsField(
        label=gettext_lazy("Profile options"),
        help_text=gettext_lazy(
            "JSON object; what differs from the provider. docs/conversion.md names all options."
        ),
    )

    class Meta:
        model = ModelMapping
        fields = "__all__"


def _today() -> date:
    return timezone.now().date()


class ModelMappingListForm(forms.ModelForm):
    """A row of the list, where position and switch can be changed, except of records of the environment."""

    class Meta:
        model = ModelMapping
        fields = ("position", "enabled")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.origin == Origin.ENVIRONMENT:
            for field in self.fields.values():
                field.disabled = True


@admin.register(ModelMapping)
class ModelMappingAdmin(OwnedRecordAdmin):
    form = ModelMappingForm
    change_form_template = "admin/gateway/modelmapping/change_form.html"
    change_list_template = "admin/gateway/modelmapping/change_list.html"
    inlines = (TargetInline, ShadowInline)
    list_display = ("pattern_is", "takes", "goes_to", "enabled", "origin", "note")
    list_editable = ("enabled",)
    # rows can be dragged, or the numbers typed without a mouse
    ordering_field = "position"
    list_per_page = 500
    empty_state = EmptyState(
        gettext_lazy("No model mappings yet"),
        gettext_lazy(
            "A mapping says where a model name goes. One with the pattern * takes every name; loading the "
            "models of a provider makes them for you."
        ),
        (("admin:gateway_provider_changelist", gettext_lazy("Providers")),),
    )
    list_filter = ("enabled", "targets__provider", "origin")
    search_fields = ("pattern", "targets__upstream_model", "note")
    ordering = ("position", "pk")
    remarks = {
        Origin.ENVIRONMENT: gettext_lazy(
            "This mapping is kept in step with the environment (.env) at each start. Take it over to change "
            "it here; the environment leaves it alone then."
        ),
        Origin.DEMO: gettext_lazy(
            "This mapping leads to the built-in demo. It steps back as soon as another one leads to a real "
            "provider."
        ),
    }

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("where/", view(self.where_view), name="gateway_modelmapping_where"),
            path("preset/", view(make_rule), name="gateway_modelmapping_preset"),
            path("<int:pk>/ramp/", view(self.ramp_view), name="gateway_modelmapping_ramp"),
            path("<int:pk>/successor/", view(self.successor_view), name="gateway_modelmapping_successor"),
            *super().get_urls(),
        ]

    def ramp_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How the sessions are divided, and the ramp of a mapping (ramp_page.py)."""
        return ramp_view(self, request, pk)

    def successor_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST `target`, `model`: the successor of a model that ends takes its place."""
        mapping = self.get_object(request, str(pk))
        if mapping is None:
            raise Http404
        if not self._may_replace(request, mapping):
            raise PermissionDenied
        if request.method == "POST":
            asked = request.POST.get("target", ""), request.POST.get("model", "")
            endings = ending_targets(_today(), mapping.pk)
            found = next((one for one in endings if (str(one.target.pk), one.life.model) == asked), None)
            if found is None or not found.can_be_replaced:
                messages.warning(request, _("The mapping has changed meanwhile. Nothing was done."))
            else:
                replace_model(found)
                text = _("%(successor)s replaces %(model)s. It can be undone in the log of changes.")
                facts = {"successor": found.life.successor, "model": found.life.model}
                messages.success(request, text % facts)
        return HttpResponseRedirect(reverse(self.page_name("change"), args=[pk]))

    def _may_replace(self, request: HttpRequest, mapping: ModelMapping) -> bool:
        may_change = self.has_change_permission(request, mapping)
        return may_change and request.user.has_perm("gateway.change_mappingtarget")

    def get_fieldsets(self, request: HttpRequest, obj: ModelMapping | None = None) -> Any:
        """Rarely needed conditions are folded away unless one is in use."""
        sizes = "public_names", "context_window", "max_output_tokens", "min_output_tokens"
        beyond: list[Any] = [
            (gettext_lazy("Names and sizes"), {"fields": sizes, "classes": ("collapse",)}),
            (gettext_lazy("Beyond the provider"), {"fields": ("options",), "classes": ("collapse",)}),
        ]
        own = "position", "enabled", "note", "skips_blind"
        if obj is not None and not self.has_change_permission(request, obj):
            return [(None, {"fields": ("pattern", "takes", *own)}), *beyond]
        used = used_fields(obj.when) if obj is not None else set()
        more = [one for one in MORE if one != "others" or "others" in used]
        flat = {name for one in more for name in ([one] if isinstance(one, str) else one)}
        folded = {} if flat & used else {"classes": ("collapse",)}
        return [
            (None, {"fields": ("pattern", *own)}),
            (
                gettext_lazy("When all of this holds"),
                {"fields": COMMON, "description": gettext_lazy("What is left empty does not matter.")},
            ),
            (gettext_lazy("More conditions"), {"fields": more, **folded}),
            *beyond,
        ]

    def get_changelist_form(self, request: HttpRequest, **options: Any) -> Any:
        return super().get_changelist_form(request, **{"form": ModelMappingListForm, **options})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        position = new_position(request.GET.get("pattern", ""))
        return {"position": position, **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: ModelMapping, form: Any, change: bool) -> None:
        if not change and obj.position == new_position(""):
            # no position was chosen: last, unless a mapping before it would take all its names
            obj.position = new_position(obj.pattern)
        super().save_model(request, obj, form, change)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list, with the reason why a row is not in force (`out_of_force`)."""
        changelist = super().get_changelist_instance(request)
        said = out_of_force()
        for record in changelist.result_list:
            record.out_of_force = said.get(record.pk, "") if record.enabled else ""
        return changelist

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelMapping]:
        queryset: QuerySet[ModelMapping] = super().get_queryset(request)
        return queryset.prefetch_related("targets__provider", "ramps")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        record, user = options.get("obj"), request.user
        if record is not None and user.has_perm("gateway.view_learntoption"):
            learnt = boxes(of_mapping(record))
            context["learnt"] = [box for box in learnt if box.record.decision == Decision.PROPOSED]
            context["decided"] = [box for box in learnt if box.record.decision != Decision.PROPOSED]
            context["may_decide"] = user.has_perm("gateway.change_learntoption")
        if record is not None:
            context["in_force"] = options_of_mapping(record.pk)
            context["never"] = why_never(record.pk)
            today = _today()
            context["endings"] = [
                (one, ending_text(one.life, today)) for one in ending_targets(today, record.pk)
            ]
            context["may_replace"] = self._may_replace(request, record)
        return super().render_change_form(request, context, *args, **options)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        mapping = form.instance
        warn_of_unreached(request)
        real = mapping.targets.exclude(provider__origin=Origin.DEMO)
        if mapping.origin == Origin.DEMO and real.exists():
            # an admin took over the demo's mapping, so it must not step back with the demo
            take_over_mapping(mapping)

    def take_over(self, record: ModelMapping) -> str:
        take_over_mapping(record)
        text = _("The mapping %s is now yours; the environment no longer changes it.")
        return text % record.pattern

    @admin.display(description=gettext_lazy("asked model"), ordering="pattern")
    def pattern_is(self, record: ModelMapping) -> str:
        said = getattr(record, "out_of_force", "")
        if not said:
            return code(record.pattern)
        return format_html("<span>{} {}</span>", code(record.pattern), badge(said, "warn"))

    @admin.display(description=gettext_lazy("for"))
    def takes(self, record: ModelMapping) -> str:
        """The conditions; empty for a mapping that takes every request."""
        return "; ".join(condition_in_words(record.when))

    @admin.display(description=gettext_lazy("goes to"))
    def goes_to(self, record: ModelMapping) -> str:
        """The enabled targets, in order."""
        enabled = [target for target in record.targets.all() if target.enabled]
        if not enabled:
            return badge(_("nowhere: it has no enabled target"), "bad")
        shares = shares_of_mapping(record)
        by_arm = {} if shares is None else shares_of(shares.at(timezone.now().timestamp()).weights)
        targets = [
            f"{target} ({100 * by_arm[target.arm]:.3g} %)" if target.arm in by_arm else str(target)
            for target in enabled
        ]
        then = format_html(' <span class="gw-muted">{}</span> ', _("then"))
        # one element, since a cell on a small screen lays its elements out side by side
        return format_html("<span>{}</span>", format_html_join(then, "{}", ((name,) for name in targets)))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        names = [
            {
                "name": one.name,
                "requests": number(one.requests),
                "last": ago(one.last),
                "taken_by": one.catch_all,
            }
            for one in unmatched_names()
        ]
        rules = mapping_rules()
        context = {
            "unmatched": names,
            **tester(request, {}, rules),
            **(offered(rules) if self.has_add_permission(request) else {}),
            "usual_tokens": USUAL_TOKENS,
            **(extra_context or {}),
        }
        with together(ModelMapping, _("Order and switches of the model mappings")):
            response: HttpResponse = super().changelist_view(request, context)
        if request.method == "POST" and response.status_code == 302:
            warn_of_unreached(request)
        return response

    def where_view(self, request: HttpRequest) -> HttpResponse:
        """GET ?model=NAME&key=PK&FACT=VALUE (admin/mappings/route_tester.py)."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = self.page_context(request, _("Where would it go?"), **tested(request))
        return TemplateResponse(request, "admin/gateway/modelmapping/where.html", context)
