"""Studies: many protocols on one recipe at equal FLOPs, run and resumed.

``study_config`` reads what a study config says and solves every run's lengths, ``jobs`` runs
command lines side by side, ``run`` makes the runs of a study that are missing. ``mmrbdc.analysis``
compares what is finished.
"""
