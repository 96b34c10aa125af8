//! Redis or Valkey: advisory data alone, so nothing is written to the disk; after a restart it is filled again.

use std::fmt::Write as _;
use std::path::PathBuf;

use flashsale_engine::sale::Folder;
use rustix::process::Signal;

use super::account::Account;
use super::background::Background;
use super::error::StackError;
use super::layout::Layout;
use super::plan::Redis as Mode;
use super::{cluster, programs};

/// How long a server is waited for before it is asked again.
const ASK: std::time::Duration = std::time::Duration::from_secs(1);

/// The Redis servers of a stack.
#[derive(Debug, Clone)]
pub struct Redis {
    program: PathBuf,
    home: PathBuf,
    ports: Vec<(u16, u16)>,
    password: String,
    mode: Mode,
}

impl Redis {
    /// Of a layout; none when its plan has no Redis.
    ///
    /// # Errors
    /// When its program is missing.
    pub fn of(folder: &Folder, layout: &Layout) -> Result<Option<Self>, StackError> {
        let Some(mode) = layout.plan.redis else { return Ok(None) };
        let (program, home) = (programs::redis()?, folder.servers());
        let (ports, password) = (layout.redis.clone(), layout.redis_password.clone());
        Ok(Some(Self { program, home, ports, password, mode }))
    }

    /// The name of a server: `redis`, in a cluster `redis-1` to `redis-6`.
    fn name(&self, place: usize) -> String {
        match self.mode {
            Mode::Single => "redis".to_owned(),
            Mode::Cluster => format!("redis-{}", place + 1),
        }
    }

    /// Where a server's data is.
    pub(super) fn data(&self, place: usize) -> PathBuf {
        self.home.join(self.name(place))
    }

    /// The servers.
    #[must_use]
    pub fn servers(&self) -> Vec<Background> {
        let server = |(place, ports): (usize, &(u16, u16))| Background {
            name: self.name(place),
            program: self.program.clone(),
            arguments: vec![self.data(place).join("redis.conf").into()],
            environment: Vec::new(),
            folder: self.data(place),
            account: None,
            stop: Signal::TERM,
            ports: match self.mode {
                Mode::Single => vec![ports.0],
                Mode::Cluster => vec![ports.0, ports.1],
            },
        };
        self.ports.iter().enumerate().map(server).collect()
    }

    /// Brings all of them up; a cluster is formed at its first start.
    ///
    /// # Errors
    /// When a server fails, or the cluster does not come together.
    pub async fn start(&self, folder: &Folder) -> Result<Vec<Option<std::process::Child>>, StackError> {
        if self.mode == Mode::Cluster {
            cluster::forget_unfinished(self, folder)?;
        }
        let servers = self.servers();
        let mut children = Vec::new();
        for (place, server) in servers.iter().enumerate() {
            let data = self.data(place);
            std::fs::create_dir_all(&data).map_err(StackError::at(&data))?;
            Account::write(None, &data.join("redis.conf"), &self.settings(place))?;
            children.push(server.start(folder)?);
        }
        for (place, server) in servers.iter().enumerate() {
            server.answers(folder, || async { self.pong(place).await }).await?;
        }
        if self.mode == Mode::Cluster {
            cluster::form(self).await?;
        }
        Ok(children)
    }

    fn settings(&self, place: usize) -> String {
        let ((port, bus), password) = (self.ports[place], &self.password);
        let mut text = format!(
            "# Written at every start.\n\
             bind 127.0.0.1\n\
             port {port}\n\
             requirepass {password}\n\
             masterauth {password}\n\
             daemonize no\n\
             tcp-backlog 511\n\
             # Holds that lapse are told.\n\
             notify-keyspace-events Ex\n\
             # A full cache refuses writes, and says so; it never drops a stock in silence.\n\
             maxmemory 512mb\n\
             maxmemory-policy noeviction\n\
             save \"\"\n\
             appendonly no\n"
        );
        if self.mode == Mode::Cluster {
            let _ = write!(
                text,
                "cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-port {bus}\ncluster-node-timeout 2000\n"
            );
        }
        text
    }

    pub(super) async fn connection(&self, place: usize) -> ::redis::RedisResult<::redis::aio::MultiplexedConnection> {
        let client = ::redis::Client::open(self.url(place))?;
        client.get_multiplexed_async_connection().await
    }

    async fn pong(&self, place: usize) -> bool {
        let asked = async {
            let mut connection = self.connection(place).await?;
            ::redis::cmd("PING").query_async::<String>(&mut connection).await
        };
        matches!(tokio::time::timeout(ASK, asked).await, Ok(Ok(_)))
    }

    pub(super) fn ports(&self) -> &[(u16, u16)] {
        &self.ports
    }

    fn url(&self, place: usize) -> String {
        format!("redis://:{}@127.0.0.1:{}", self.password, self.ports[place].0)
    }

    /// Their addresses for the sale.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        (0..self.ports.len()).map(|place| self.url(place)).collect()
    }
}
