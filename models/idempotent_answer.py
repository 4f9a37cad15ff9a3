"""Answers kept for a client whose connection broke, in a form that only that client can open."""

from tortoise import fields
from tortoise.models import Model


class IdempotentAnswer(Model):
    key_hash = fields.CharField(max_length=64, primary_key=True)
    request_hash = fields.CharField(max_length=64)
    # Base64; empty while the first of several equal requests is at work, which nobody else can see.
    answer = fields.TextField()
    expires_at = fields.DatetimeField()

    class Meta:
        table = "idempotent_answers"
