"""Waybill: a serverless router for messenger webhooks."""
