"""Parts of `fryer.localise`, all pure: words, settings, what is known, who is to blame, what to measure next, proof.

Data flow: trials -> `known` (each set of nodes with all its values) -> `limits` (what healthy gives here) -> `blame`
and `bisection` (nodes and paths at fault, and whom nobody can tell apart yet) -> `pairing` (the next round), or
`findings`, `fleet` and `proof` (what follows).
"""
