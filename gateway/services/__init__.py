"""Work that is not a request for data: enrolment of clients by persons, and the records it rests on.

A service takes a ``Query`` and gives a ``Reply``; ``flow.attend`` records it before it leaves. What
it changes in the registry rides in the reply, so entry and change are one transaction.
"""
