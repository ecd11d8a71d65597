"""Topics as an installed part: rooms, presence, histories, the bridge to Redis."""

from __future__ import annotations

from streaming.engine.measures import Chart, Measure
from streaming.engine.registry import EngineApp
from streaming.engine.settings import SameAs, Setting


class TopicsConfig(EngineApp):
    """Topics."""

    name = "streaming.topics"
    label = "streaming_topics"
    verbose_name = "Topics"
    requires = ("streaming.features",)
    services = ("streaming.topics.service.Topics",)
    topics = "streaming.topics.builtin.patterns"
    settings = (
        Setting("CHANNEL_TOKEN_SECONDS", 12 * 3600, "life of a channel token of `POST /token`", least=1),
        Setting(
            "PUBLIC_TOPICS", "", "comma-separated topics, or patterns of topics (`room:*`), for which anybody is given a channel token"
        ),
        Setting("OPEN_TOKENS", SameAs("DEBUG"), "give anybody a channel token for any topic but `admin`"),
        Setting("CHECK_CHANNEL_CLAIM", True, "a channel token opens only what its claim `channel` names (off: any topic but `admin`)"),
        Setting("TOPICS", "", "the module with this project's `topicpatterns`, such as `myproject.topics`"),
        Setting(
            "OPEN_TOPICS",
            True,
            "topics without a channel of their own are open to holders of a token, and bridged to Redis (off: there are none)",
        ),
        Setting(
            "BRIDGE_JOINS", False, "publish who joins and leaves a bridged topic as `from:<topic>:phx_join` and `phx_leave` (never a token)"
        ),
        Setting("PUSH_ENVELOPES", "", "comma-separated topics and patterns whose pushes backends may answer one by one"),
        Setting("PUSH_REPLY_SECONDS", 9.0, "how long a backend may take to answer a push", least=0.01),
        Setting("PAYLOAD_VALUES", 40_000, "values (elements and members) in the payload of a join or push that is decoded", least=100),
        Setting("PRESENCE_BATCH_SECONDS", 0.05, "for how long joins and leaves are gathered before the members of a topic receive them"),
        Setting("PRESENCE_LIST", 1000, "members of a topic that are listed to each other; those of larger ones receive only their number"),
        Setting(
            "TOPIC_HISTORY", "", "comma-separated open topics, and patterns of topics, whose messages are kept for clients that come back"
        ),
        Setting("TOPIC_HISTORY_LENGTH", 1000, "messages kept of each of these topics", least=1),
        Setting("TOPIC_HISTORY_SECONDS", 3600, "silence after which the messages of such a topic go", least=1),
    )
    measures = (
        Measure("geostream_topics", "gauge", (), "topics with members in this process"),
        Measure("geostream_members", "gauge", (), "members of topics in this process"),
        Measure(
            "geostream_topic_messages_total",
            "counter",
            (),
            "messages on topics with members in this process",
            Chart("Messages on topics", line="published", order=24),
        ),
        Measure(
            "geostream_topic_deliveries_total",
            "counter",
            (),
            "those messages times the members who were to get them",
            Chart("Messages on topics", line="delivered", order=24),
        ),
        Measure(
            "geostream_topic_dropped_total",
            "counter",
            (),
            "messages that slow members missed, as their channel's policy is",
            Chart("Conflated and dropped", line="of topics", order=40),
        ),
        Measure("geostream_bus_connected", "gauge", (), "1 while the process receives from Redis' pub/sub, else 0"),
        Measure("geostream_bus_gaps_total", "counter", (), "times that messages of pub/sub may have been missed"),
        Measure(
            "geostream_bus_dropped_total",
            "counter",
            (),
            "messages of pub/sub that found no room while the process was busy",
            Chart("Conflated and dropped", line="of pub/sub", order=40),
        ),
    )
