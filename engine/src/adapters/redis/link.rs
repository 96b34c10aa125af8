//! The connection that writes and reads. It comes to exist with the first command, and anew after every break.

use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::cluster::{ClusterClientBuilder, ClusterConfig};
use ::redis::cluster_async::ClusterConnection;
use ::redis::{Client, IntoConnectionInfo, Pipeline, RedisResult, cmd};

/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// How long a command may take to be answered.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// The shortest and the longest pause between two attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Further attempts within one command; the next command tries again.
const RETRIES: u8 = 1;

/// To a single server, or to every master of a cluster. Replicas are never read: they may be behind.
pub(super) enum Link {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Link {
    /// One address is a single server, several are a cluster.
    pub(super) fn new(urls: &[String]) -> RedisResult<Self> {
        if let [only] = urls {
            let config = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(CONNECT_WITHIN))
                .set_response_timeout(Some(ANSWER_WITHIN))
                .set_min_delay(PAUSES.0)
                .set_max_delay(PAUSES.1)
                .set_number_of_retries(RETRIES.into());
            return Ok(Self::Single(Client::open(only.as_str())?.get_connection_manager_lazy(config)?));
        }
        let nodes: Vec<_> = urls.iter().map(|url| url.as_str().into_connection_info()).collect::<RedisResult<_>>()?;
        let millis = |pause: Duration| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let client = ClusterClientBuilder::new(nodes)
            .retries(RETRIES.into())
            .min_retry_wait(millis(PAUSES.0))
            .max_retry_wait(millis(PAUSES.1))
            .connection_timeout(CONNECT_WITHIN)
            .response_timeout(ANSWER_WITHIN)
            .build()?;
        Ok(Self::Cluster(client.get_pending_async_connection_with_config(ClusterConfig::new())))
    }

    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    pub(super) async fn send(&self, pipeline: &Pipeline) -> RedisResult<()> {
        match self {
            Self::Single(connection) => pipeline.exec_async(&mut connection.clone()).await,
            Self::Cluster(connection) => pipeline.exec_async(&mut connection.clone()).await,
        }
    }

    pub(super) async fn get(&self, key: &str) -> RedisResult<Option<Vec<u8>>> {
        let mut get = cmd("GET");
        get.arg(key);
        match self {
            Self::Single(connection) => get.query_async(&mut connection.clone()).await,
            Self::Cluster(connection) => get.query_async(&mut connection.clone()).await,
        }
    }
}
