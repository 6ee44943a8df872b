"""The admin's URLs; the API's are gateway.urls, served by server/handler.py."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

# here and not at start: a process that no person asks never loads the admin (lazy_admin.py)
admin.autodiscover()

urlpatterns = [
    path("admin/i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
]
