"""Models in processes of their own: what they do can neither stop nor slow down the others, nor end the server.

    server ──────── control ────────▶ nursery   has imported what workers need, and forks them: 20 ms instead of 2 s
      │                                  │ fork
      ├──── orders: pickles ───────▶ worker     loads and runs models; several small ones, or one of its own
      ◀──── reports: JSON and raw ───────┘

The server never unpickles what a worker says. When the server goes, so does the nursery, and its workers with it.
"""
