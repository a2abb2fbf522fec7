"""What the running system says and does: its events, its logs, the certificates that it serves.

Reading it is the business of `gwdoctor.source`; here is what it means. Checks that look at it
(`Probe.observes`) find what it says; `weighing` makes that the evidence of another finding, where
there is one that it proves.
"""
