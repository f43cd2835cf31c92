"""Many nodes in one run: workers are started, told what to do, listened to, and the fleet is judged as a whole.

`orders` has the words that controller and workers exchange, `hosts` the seam behind which real nodes
(`fryer.launchers`) and simulated ones (`fryer.fleet.simulated`) stand, and `conductor` carries a plan out over it.
"""
