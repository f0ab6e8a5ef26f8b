"""Studies: many protocols on one recipe at equal FLOPs, run, resumed and ranked.

``grid`` reads what a study config says and solves every run's lengths, ``jobs`` runs command lines
side by side and ``processes`` starts each where the libraries are imported already, ``run`` makes
the runs of a grid that are missing, ``ranking`` and ``report`` compare what is finished, and
``methods`` says to readers what was compared.
"""
