"""The settings of a one-process Apache Kafka for tests, and why each is there."""

BASE: dict[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
    "inter.broker.listener.name": "PLAINTEXT",
    # One broker: everything internal lives once.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # As in production: a topic that nobody created is an error.
    "auto.create.topics.enable": "false",
    # The first member of a group need not wait for others.
    "group.initial.rebalance.delay.ms": "0",
    # After kill -9 the dead incarnation must be fenced first: 3 s instead of 12 s until the next one answers.
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "300",
    "controller.quorum.election.timeout.ms": "300",
    "controller.quorum.fetch.timeout.ms": "600",
    # Retention that a test can see: checked twice a second, from the first second on.
    "log.initial.task.delay.ms": "500",
    "log.retention.check.interval.ms": "500",
}
