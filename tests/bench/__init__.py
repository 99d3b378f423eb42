"""How fast it is, as ratios within one run: ``make bench`` (docs/performance.md tells how to read it).

    __main__     options, table, var/bench.json       proxy        a pull through the gate
    measure      what a figure is, and the families   decision     who asks, and may they
    scene        a home with invented tables          statistic    a GROUP BY over 10 million rows
    processes    servers, ended when a block ends     masking      rows treated
    policy       documents, and one judgement among them
    load         the client, a process of its own     ledger       entries made durable
    floor_*      the bare thing beside each measure   startup      from nothing to ready
    profile      where the time of one request goes

Every measure runs in turns with its floor, so that a busy machine slows both, and medians count.
"""
