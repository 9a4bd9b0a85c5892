"""Two small services that take orders, as anybody would write them: a handler of events, and a web service.

``ostraka dev`` and ``ostraka demo`` run them as processes of their own. They know an anchor and a Kafka, no issuer.
"""
