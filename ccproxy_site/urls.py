"""The admin's URLs; the API's are gateway.urls, served by server/handler.py."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
