//! Reservations whose time is over, as the servers tell it (`__keyevent@*__:expired`): a connection of its own to every
//! master, made anew after every break. What a server told meanwhile is lost; so a new connection begins with a nudge.

use std::collections::HashMap;
use std::time::Duration;

use ::redis::aio::{MultiplexedConnection, PubSubSink, PubSubStream};
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Msg, RedisResult, Value, cmd,
};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::task::AbortOnDropHandle;

use super::Scope;
use crate::ports::{CacheError, CacheNotice};

/// Notices that wait to be taken; beyond it one more is dropped: those before it ask for the same tick.
const WAITING: usize = 1_024;
/// How often a cluster is asked who its masters are.
const LOOK: Duration = Duration::from_secs(1);
/// How often a silent connection is asked whether it lives, and how long it may think about it.
const PING: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(2);
/// The shortest and the longest pause before a server is connected again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Notices of all masters.
pub(super) struct Notices {
    heard: mpsc::Receiver<CacheNotice>,
    _listening: AbortOnDropHandle<()>,
}

impl Notices {
    /// Starts to listen, on the current runtime, until dropped.
    pub(super) fn listen(urls: &[String], scope: Scope) -> RedisResult<Self> {
        let nodes: Vec<ConnectionInfo> =
            urls.iter().map(|url| url.as_str().into_connection_info()).collect::<RedisResult<_>>()?;
        let (tell, heard) = mpsc::channel(WAITING);
        let task = tokio::spawn(follow_masters(nodes, Listener { tell, scope }));
        Ok(Self { heard, _listening: AbortOnDropHandle::new(task) })
    }

    pub(super) async fn next(&mut self) -> Result<CacheNotice, CacheError> {
        self.heard.recv().await.ok_or_else(|| CacheError("nobody listens for notices any more".to_owned()))
    }
}

#[derive(Clone)]
struct Listener {
    tell: mpsc::Sender<CacheNotice>,
    scope: Scope,
}

/// Keeps a listener at every master, whichever those are.
async fn follow_masters(nodes: Vec<ConnectionInfo>, listener: Listener) {
    let mut tasks = JoinSet::new();
    let mut listening: HashMap<String, AbortHandle> = HashMap::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let masters = match nodes.as_slice() {
            [only] => vec![only.clone()],
            several => masters(several).await,
        };
        // While no node answers, those that are listened to stay.
        if !masters.is_empty() {
            let named: HashMap<String, ConnectionInfo> =
                masters.into_iter().map(|node| (node.addr().to_string(), node)).collect();
            listening.retain(|name, task| {
                let stays = named.contains_key(name);
                if !stays {
                    task.abort();
                }
                stays
            });
            for (name, node) in named {
                let listener = listener.clone();
                listening.entry(name).or_insert_with(|| tasks.spawn(listener.run(node)));
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

impl Listener {
    /// Listens to one server, again and again.
    async fn run(self, node: ConnectionInfo) {
        let mut pause = PAUSES.0;
        let mut told = false;
        loop {
            match self.connect(&node).await {
                Ok((sink, stream)) => {
                    (pause, told) = (PAUSES.0, false);
                    self.tell(CacheNotice::Missed);
                    self.hear(sink, stream).await;
                }
                Err(error) if !told => {
                    tracing::warn!(%error, server = %node.addr(), "no expiry notices; other layers release holds");
                    told = true;
                }
                Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn connect(&self, node: &ConnectionInfo) -> RedisResult<(PubSubSink, PubSubStream)> {
        let client = Client::open(node.clone())?;
        if let Err(error) = within(switch_on(&client)).await {
            // Some providers switch it on by their own console, and refuse to tell.
            tracing::warn!(%error, server = %node.addr(), "could not switch expiry notices on (notify-keyspace-events Ex)");
        }
        within(async {
            let mut listening = client.get_async_pubsub().await?;
            listening.subscribe(format!("__keyevent@{}__:expired", node.redis_settings().db())).await?;
            Ok(listening.split())
        })
        .await
    }

    /// Until the connection breaks or falls silent.
    async fn hear(&self, mut sink: PubSubSink, mut stream: PubSubStream) {
        loop {
            match tokio::time::timeout(PING, stream.next()).await {
                Ok(Some(message)) => self.pass_on(&message),
                Ok(None) => return,
                Err(_) => {
                    if within(async { sink.ping::<Value>().await }).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn pass_on(&self, message: &Msg) {
        let key = std::str::from_utf8(message.get_payload_bytes()).unwrap_or_default();
        let ours = key.strip_prefix(&self.scope.names.reservations_prefix());
        let id = ours.and_then(|rest| rest.rsplit_once(':')).map(|(_, id)| id);
        if let Some(hold) = id.and_then(|id| self.scope.ids.hold(id)) {
            self.tell(CacheNotice::Expired(hold));
        }
    }

    fn tell(&self, notice: CacheNotice) {
        // Full: a tick is asked for already.
        let _ = self.tell.try_send(notice);
    }
}

/// Switches expired-key events on, beside whatever else is on.
async fn switch_on(client: &Client) -> RedisResult<()> {
    const SETTING: &str = "notify-keyspace-events";
    let mut connection = connection(client).await?;
    let (_, mut flags): (String, String) = cmd("CONFIG").arg("GET").arg(SETTING).query_async(&mut connection).await?;
    let before = flags.len();
    for (flag, all) in [('E', 'E'), ('x', 'A')] {
        if !flags.contains([flag, all]) {
            flags.push(flag);
        }
    }
    if flags.len() == before {
        return Ok(());
    }
    cmd("CONFIG").arg("SET").arg(SETTING).arg(flags).exec_async(&mut connection).await
}

/// A cluster's masters, as the first node says that answers; none when no node does.
async fn masters(nodes: &[ConnectionInfo]) -> Vec<ConnectionInfo> {
    for node in nodes {
        let asked = within(async {
            let mut connection = connection(&Client::open(node.clone())?).await?;
            cmd("CLUSTER").arg("SLOTS").query_async::<Vec<Vec<Value>>>(&mut connection).await
        });
        if let Ok(ranges) = asked.await {
            return ranges.iter().filter_map(|range| master(node, range.get(2)?)).collect();
        }
    }
    Vec::new()
}

/// `[host, port, id, ..]`: at the address that the cluster names, with the credentials of the node that was asked.
fn master(asked: &ConnectionInfo, value: &Value) -> Option<ConnectionInfo> {
    let Value::Array(parts) = value else { return None };
    let host = match parts.first()? {
        Value::BulkString(host) => String::from_utf8(host.clone()).ok()?,
        _ => String::new(),
    };
    let Value::Int(port) = parts.get(1)? else { return None };
    let port = u16::try_from(*port).ok()?;
    // A node that does not know its own name is reached as it was.
    let named = |known: &String| if host.is_empty() { known.clone() } else { host.clone() };
    let address = match asked.addr() {
        ConnectionAddr::Tcp(known, _) => ConnectionAddr::Tcp(named(known), port),
        ConnectionAddr::TcpTls { host: known, insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host: named(known), port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => return None,
    };
    Some(asked.clone().set_addr(address))
}

async fn connection(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
    client.get_multiplexed_async_connection_with_config(&config).await
}

async fn within<T>(work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(ended) => ended,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}
