"""The admin page of its own connections."""

from django.contrib import admin

from .models import EchoClient


@admin.register(EchoClient)
class EchoClientAdmin(admin.ModelAdmin):
    list_display = ("address", "since")

    def get_queryset(self, request):
        return super().get_queryset(request).filter(dialect="echo")
