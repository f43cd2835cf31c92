"""The live view; knows no hardware. Nothing here yet: see plans/roadmap.md."""
