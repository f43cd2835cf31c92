"""Old logs of training runs, read and judged by the watchdog's own detectors: what would they have said?

    file ─▶ formats ─▶ a reader ─▶ (run, Point | Mark | RankPoint) ─▶ runs ─▶ causes ─▶ documents, table, page

A reader gives the points of a file in the file's order, one at a time, and never judges; one format a file, listed in
`formats`. What a column means is decided by its name alone, in `columns`. `opening` finds the format.
"""
