"""What stands between the issuer and Kafka, in words for the log and /readyz."""

from aiokafka.errors import ClusterAuthorizationFailedError, KafkaConnectionError, TopicAuthorizationFailedError

from ostraka_consumers.sources._refusal import name_of, why_refused

from ..errors import TopicMismatch
from ..settings import IssuerSettings


async def explain(error: Exception, settings: IssuerSettings) -> str:
    """One sentence, without a secret. Where no broker could be reached, it is asked once more why."""
    if isinstance(error, TopicMismatch):
        return str(error)
    if isinstance(error, KafkaConnectionError):
        refused = await why_refused(settings.kafka, settings.kafka_options())
        return refused or f"the connection failed: {name_of(error)}"
    if isinstance(error, (TopicAuthorizationFailedError, ClusterAuthorizationFailedError)):
        return f"the broker does not let the issuer do it (ACL): {name_of(error)}"
    return name_of(error)
