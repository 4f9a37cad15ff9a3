"""djangorestframework-api-key as its manual shows: a view that asks for HasAPIKey, on Django, on SQLite.

To its favour no middleware runs, connections to the database are kept, and keys are hashed by its own preferred
hasher, SHA-512 without a salt.

    PEER_DATABASE=FILE python peer.py PAIRS COUNT     makes the rows
    PEER_DATABASE=FILE gunicorn peer:application      serves
"""

import os
import sys
from itertools import islice
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["PEER_DATABASE"],
            "CONN_MAX_AGE": None,
            "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL"},
        }
    },
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "rest_framework_api_key"],
    MIDDLEWARE=[],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.urandom(32).hex(),
    USE_TZ=True,
)
django.setup()

from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402
from rest_framework_api_key.models import APIKey  # noqa: E402
from rest_framework_api_key.permissions import HasAPIKey  # noqa: E402


class Verify(APIView):
    permission_classes = (HasAPIKey,)

    def get(self, _request):
        return Response()


urlpatterns = [path("verify", Verify.as_view())]
application = get_wsgi_application()


def fill(pairs: Path, count: int) -> None:
    """A row for each of the first pairs: the prefix is of the key, the rest is the secret."""
    call_command("migrate", verbosity=0)
    if APIKey.objects.exists():
        return
    generator = APIKey.objects.key_generator
    with pairs.open() as file:
        for lines in iter(lambda: list(islice(file, 5000)), []):
            rows = []
            for line in lines[: max(0, count)]:
                key, secret = line.rstrip().split(":")
                prefix = key[12:20]
                hashed = generator.hash(f"{prefix}.{secret}")
                rows.append(APIKey(id=f"{prefix}.{hashed}", prefix=prefix, hashed_key=hashed, name="bench"))
            APIKey.objects.bulk_create(rows, batch_size=5000)
            count -= len(lines)


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]))
