"""Datasets: the list, the page of one, export to a file and import from one."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.admin.downloads import streamed_download
from gateway.admin.ui.base import EmptyState, FileInput, ReadOnlyAdmin, TextInput
from gateway.admin.ui.html_format import number, time_column
from gateway.admin.ui.sanitize import inert
from gateway.config.snapshot.loader import secret_looks
from gateway.evaluation.datasets import LARGEST_FILE, LONGEST_LINE, BadDataset, exported, taken_in
from gateway.history.access import may_read_all
from gateway.history.secrets.masker import masker
from gateway.models import Dataset


class DatasetFileForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=100, widget=TextInput())
    file = forms.FileField(
        label=gettext_lazy("File"), widget=FileInput(),
        help_text=gettext_lazy("JSON Lines, as in a downloaded dataset."),
    )  # fmt: skip

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if Dataset.objects.filter(name=name).exists():
            raise forms.ValidationError(_("There is already a dataset with this name."))
        return name

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > LARGEST_FILE:
            raise forms.ValidationError(_("The file is larger than %(n)s MB.") % {"n": LARGEST_FILE >> 20})
        return file


@admin.register(Dataset)
class DatasetAdmin(ReadOnlyAdmin):
    change_list_template = "admin/gateway/dataset/change_list.html"
    list_display = (
        "named", "sessions", "steps_shown", "evaluations_shown", "created_by",
        time_column("created", gettext_lazy("created")),
    )  # fmt: skip
    list_display_links = None
    list_select_related = ("created_by",)
    search_fields = ("name",)
    list_per_page = 25
    empty_state = EmptyState(
        gettext_lazy("No dataset yet"),
        gettext_lazy("Each new evaluation keeps the steps that it was made with as a dataset."),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("gateway.delete_dataset"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("take-in/", view(self.take_in_view), name="gateway_dataset_take_in"),
            path("<int:pk>/export/", view(self.export_view), name="gateway_dataset_export"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Dataset]:
        rows: QuerySet[Dataset] = super().get_queryset(request)
        return rows.annotate(
            step_count=Count("steps", distinct=True),
            session_count=Count("steps__session", distinct=True),
            evaluation_count=Count("evaluations", distinct=True),
        )

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(
            request, {"may_take_in": self.may_take_in(request), **(extra_context or {})}
        )

    def may_take_in(self, request: HttpRequest) -> bool:
        """Importing takes the right to read everything: imported texts have no owner."""
        return bool(request.user.has_perm("gateway.add_dataset")) and may_read_all(request.user)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        dataset = self.get_object(request, object_id)
        if dataset is None or not self.has_view_permission(request):
            return super().change_view(request, object_id, form_url, extra_context)
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        context = self.page_context(
            request,
            _("Dataset"),
            dataset=dataset,
            name=inert(dataset.name),
            selection=[(name, inert(str(value))) for name, value in dataset.selection.items()],
            evaluations=[(one, inert(one.name)) for one in dataset.evaluations.all()],
            may_start=request.user.has_perm("gateway.add_evaluation"),
        )
        return TemplateResponse(request, "admin/gateway/dataset/dataset.html", context)

    def export_view(self, request: HttpRequest, pk: int) -> HttpResponse | StreamingHttpResponse:
        """The steps whose texts the user may read, one JSON object a line."""
        dataset = Dataset.objects.filter(pk=pk).first()
        if not self.has_view_permission(request):
            raise PermissionDenied
        if dataset is None:
            raise Http404
        name = slugify(dataset.name) or f"dataset-{pk}"
        return streamed_download(exported(dataset, request.user, masker(secret_looks())), f"{name}.jsonl")

    def take_in_view(self, request: HttpRequest) -> HttpResponse:
        if not self.may_take_in(request):
            raise PermissionDenied
        form = DatasetFileForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            data = form.cleaned_data
            try:
                # a file's own iterator takes quadratic time for a line that never ends
                lines = iter(partial(data["file"].readline, LONGEST_LINE + 1), b"")
                dataset = taken_in(data["name"], lines, request.user, masker(secret_looks()))
            except BadDataset as problem:
                form.add_error("file", str(problem))
            else:
                return HttpResponseRedirect(reverse(self.page_name("change"), args=[dataset.pk]))
        context = self.page_context(request, _("Take in a dataset"), form=form)
        return TemplateResponse(request, "admin/gateway/dataset/take_in.html", context)

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def named(self, dataset: Dataset) -> str:
        address = reverse(self.page_name("change"), args=[dataset.pk])
        return format_html('<a class="gw-link" href="{}">{}</a>', address, inert(dataset.name))

    @admin.display(description=gettext_lazy("sessions"))
    def sessions(self, dataset: Any) -> str:
        return number(dataset.session_count)

    @admin.display(description=gettext_lazy("steps"))
    def steps_shown(self, dataset: Any) -> str:
        return number(dataset.step_count)

    @admin.display(description=gettext_lazy("evaluations"))
    def evaluations_shown(self, dataset: Any) -> str:
        return number(dataset.evaluation_count)
