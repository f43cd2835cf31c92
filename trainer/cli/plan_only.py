"""What ``fryer train PLAN --plan-only`` prints."""

import json
import sys
from pathlib import Path

from trainer.plan import load_plan
from trainer.plan.identity import plan_hash
from trainer.plan.json_form import to_json


def print_plan(path: Path, *, as_json: bool) -> None:
    """The resolved plan and its hash, to stdout. Raises `UsageError` for a wrong plan."""
    plan = load_plan(path)
    document = {"schema": "fryer.plan", "version": 1, "hash": plan_hash(plan), "plan": to_json(plan)}
    sys.stdout.write(json.dumps(document, indent=None if as_json else 2) + "\n")
