//! The whole stack as local processes: started, found again, stopped.

use std::process::Child;

use flashsale_engine::sale::{Folder, Services};

use super::background::Background;
use super::error::StackError;
use super::kafka::Kafka;
use super::layout::Layout;
use super::plan::Plan;
use super::postgres::Postgres;
use super::redis::Redis;

/// The servers of a stack, in the order they stop: nobody acknowledges what the next cannot keep.
#[derive(Debug)]
pub struct Running {
    folder: Folder,
    postgres: Option<Postgres>,
    redis: Option<Redis>,
    kafka: Option<Kafka>,
    servers: Vec<Background>,
    children: Vec<Child>,
}

impl Running {
    /// The stack that a folder has, without starting anything; none if it never had one.
    ///
    /// # Errors
    /// When a program is missing.
    pub fn known(folder: &Folder) -> Result<Option<Self>, StackError> {
        Layout::kept(&folder.stack())?.map(|layout| Self::find(folder, &layout)).transpose()
    }

    fn find(folder: &Folder, layout: &Layout) -> Result<Self, StackError> {
        let postgres = Postgres::of(folder, layout)?;
        let redis = Redis::of(folder, layout)?;
        let kafka = Kafka::of(folder, layout)?;
        let servers = [
            kafka.as_ref().map(Kafka::servers),
            postgres.as_ref().map(Postgres::servers),
            redis.as_ref().map(Redis::servers),
        ];
        let servers = servers.into_iter().flatten().flatten().collect();
        Ok(Self { folder: folder.clone(), postgres, redis, kafka, servers, children: Vec::new() })
    }

    /// Starts whatever does not run, waits until all of it answers, and writes where it is to the folder.
    ///
    /// # Errors
    /// When a program is missing, or a server does not come up.
    pub async fn start(folder: &Folder, plan: &Plan) -> Result<Self, StackError> {
        let mut running = Self::find(folder, &Layout::of(&folder.stack(), plan)?)?;
        let (postgres, redis, kafka) = (&running.postgres, &running.redis, &running.kafka);
        let (postgres, redis, kafka) = tokio::try_join!(
            async { if let Some(postgres) = postgres { postgres.start(folder).await } else { Ok(Vec::new()) } },
            async { if let Some(redis) = redis { redis.start(folder).await } else { Ok(Vec::new()) } },
            async { if let Some(kafka) = kafka { kafka.start(folder).await } else { Ok(Vec::new()) } },
        )?;
        running.children = postgres.into_iter().chain(redis).chain(kafka).flatten().collect();
        running.services().write(&folder.services()).map_err(StackError::at(&folder.services()))?;
        Ok(running)
    }

    /// Where the servers are.
    #[must_use]
    pub fn services(&self) -> Services {
        Services {
            postgres: self.postgres.as_ref().map(Postgres::urls).unwrap_or_default(),
            redis: self.redis.as_ref().map(Redis::urls).unwrap_or_default(),
            kafka: self.kafka.as_ref().map(Kafka::bootstrap).unwrap_or_default(),
            kafka_client: std::collections::BTreeMap::new(),
        }
    }

    /// The servers.
    #[must_use]
    pub fn servers(&self) -> &[Background] {
        &self.servers
    }

    /// A server by its name: `postgres`, `postgres-standby-1`, `redis` or `redis-1`, `kafka-1`.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&Background> {
        self.servers.iter().find(|server| server.name == name)
    }

    /// The folder that they belong to.
    #[must_use]
    pub const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Starts a server that was stopped or killed, without waiting for it.
    ///
    /// # Errors
    /// When it cannot be started, or must not.
    pub fn restart(&mut self, name: &str) -> Result<(), StackError> {
        if let Some(postgres) = &self.postgres
            && let Some(place) = postgres.servers().iter().position(|server| server.name == name)
        {
            postgres.may_start(place)?;
        }
        self.start_by_hand(name)
    }

    /// Starts a server whatever its data says, as an administrator can: what then keeps others from a former primary is
    /// the engine.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_by_hand(&mut self, name: &str) -> Result<(), StackError> {
        self.reap();
        if let Some(server) = self.servers.iter().find(|server| server.name == name) {
            self.children.extend(server.start(&self.folder)?);
        }
        Ok(())
    }

    /// Deletes what they keep outside of the folder; they are stopped.
    ///
    /// # Errors
    /// The file system's.
    pub fn delete_elsewhere(&self) -> Result<(), StackError> {
        match self.postgres.as_ref().and_then(|postgres| postgres.elsewhere(&self.folder)) {
            Some(home) if home.exists() => std::fs::remove_dir_all(home).map_err(StackError::at(home)),
            _ => Ok(()),
        }
    }

    /// Takes note of those of our processes that ended.
    pub fn reap(&mut self) {
        self.children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }

    /// Stops all of them in good order, and keeps their data.
    pub async fn stop(mut self) {
        for server in &self.servers {
            server.ask_to_stop(&self.folder);
        }
        for server in &self.servers {
            server.gone(&self.folder).await;
        }
        self.reap();
    }
}
