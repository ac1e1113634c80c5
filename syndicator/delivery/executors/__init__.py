"""Who takes the engine's turns: this process all the time (`local`), or Celery workers whenever the bell rings (`celery`).

In either case the delivery table is the record of what is owed. An executor decides only where and when an engine runs.
"""
