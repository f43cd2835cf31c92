"""The pre-flight checklist. Nothing here yet: see plans/roadmap.md."""
