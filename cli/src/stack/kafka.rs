//! Kafka in KRaft mode: one broker, or three; each is a controller too.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use flashsale_engine::sale::Folder;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rustix::process::Signal;

use super::account::Account;
use super::background::Background;
use super::error::StackError;
use super::layout::Layout;
use super::{jars, postgres, programs};

/// How long a broker is waited for before it is asked again.
const ASK: Duration = Duration::from_secs(1);

/// Kafka's log is on standard output, which is the server's log file.
const LOGGING: &str = "\
rootLogger.level = info
rootLogger.appenderRef.stdout.ref = stdout
appender.stdout.type = Console
appender.stdout.name = stdout
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX}{UTC} %p %m (%c{1})%n%throwable
";

/// The Kafka brokers of a stack.
#[derive(Debug, Clone)]
pub struct Kafka {
    java: PathBuf,
    jars: PathBuf,
    home: PathBuf,
    layout: Layout,
    in_sync: u16,
}

impl Kafka {
    /// Of a layout; none when its plan has no Kafka.
    ///
    /// # Errors
    /// When Java is missing, or Kafka is and cannot be resolved.
    pub fn of(folder: &Folder, layout: &Layout) -> Result<Option<Self>, StackError> {
        let Some(plan) = layout.plan.kafka else { return Ok(None) };
        let (java, jars, home) = (programs::java()?, jars::folder()?, folder.servers());
        Ok(Some(Self { java, jars, home, layout: layout.clone(), in_sync: plan.min_insync_replicas() }))
    }

    /// The name of a broker: `kafka-1`, and so on.
    fn name(place: usize) -> String {
        format!("kafka-{}", place + 1)
    }

    fn data(&self, place: usize) -> PathBuf {
        self.home.join(Self::name(place))
    }

    /// The brokers.
    #[must_use]
    pub fn servers(&self) -> Vec<Background> {
        let server = |(place, ports): (usize, &(u16, u16))| {
            let mut arguments = self.machine(place);
            arguments.extend(["kafka.Kafka".into(), self.data(place).join("server.properties").into()]);
            Background {
                name: Self::name(place),
                program: self.java.clone(),
                arguments,
                environment: Vec::new(),
                folder: self.data(place),
                account: None,
                stop: Signal::TERM,
                ports: vec![ports.0, ports.1],
            }
        };
        self.layout.kafka.iter().enumerate().map(server).collect()
    }

    /// The Java machine's own arguments, up to the class.
    fn machine(&self, place: usize) -> Vec<OsString> {
        let mut logging = OsString::from("-Dlog4j2.configurationFile=");
        logging.push(self.data(place).join("log4j2.properties"));
        let mut classes = self.jars.clone().into_os_string();
        classes.push("/*");
        let flags = ["-Xms256m", "-Xmx512m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:+ExitOnOutOfMemoryError"];
        let mut arguments: Vec<OsString> = flags.iter().map(OsString::from).collect();
        if self.layout.plan.scratch {
            // Up sooner, never as fast later.
            arguments.push("-XX:TieredStopAtLevel=1".into());
        }
        arguments.extend(["-Djava.awt.headless=true".into(), logging, "-cp".into(), classes]);
        arguments
    }

    /// Brings all of them up; a broker's folder is formatted at its first start.
    ///
    /// # Errors
    /// When a broker or its formatting fails.
    pub async fn start(&self, folder: &Folder) -> Result<Vec<Option<std::process::Child>>, StackError> {
        let servers = self.servers();
        let mut formatting = Vec::new();
        for place in 0..servers.len() {
            let data = self.data(place);
            std::fs::create_dir_all(&data).map_err(StackError::at(&data))?;
            Account::write(None, &data.join("log4j2.properties"), LOGGING)?;
            Account::write(None, &data.join("server.properties"), &self.settings(place))?;
            if !data.join("log/meta.properties").exists() {
                let kafka = self.clone();
                formatting.push(tokio::task::spawn_blocking(move || kafka.format(place)));
            }
        }
        for formatted in formatting {
            formatted.await.map_err(std::io::Error::other).map_err(StackError::at(&self.home))??;
        }
        let mut children = Vec::new();
        for server in &servers {
            children.push(server.start(folder)?);
        }
        for (place, server) in servers.iter().enumerate() {
            server.answers(folder, || self.complete(place)).await?;
        }
        Ok(children)
    }

    fn format(&self, place: usize) -> Result<(), StackError> {
        let mut command = std::process::Command::new(&self.java);
        command.args(self.machine(place)).args(["kafka.tools.StorageTool", "format", "-t", &self.layout.kafka_cluster]);
        command.arg("-c").arg(self.data(place).join("server.properties"));
        postgres::run(command)
    }

    fn settings(&self, place: usize) -> String {
        let (port, controller) = self.layout.kafka[place];
        let voter = |(place, ports): (usize, &(u16, u16))| format!("{}@127.0.0.1:{}", place + 1, ports.1);
        let voters: Vec<String> = self.layout.kafka.iter().enumerate().map(voter).collect();
        let (brokers, in_sync) = (self.layout.kafka.len(), self.in_sync);
        format!(
            "# Written at every start.\n\
             process.roles=broker,controller\n\
             node.id={id}\n\
             controller.quorum.voters={voters}\n\
             listeners=CLIENTS://127.0.0.1:{port},CONTROLLERS://127.0.0.1:{controller}\n\
             advertised.listeners=CLIENTS://127.0.0.1:{port}\n\
             listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLERS:PLAINTEXT\n\
             inter.broker.listener.name=CLIENTS\n\
             controller.listener.names=CONTROLLERS\n\
             log.dirs={log}\n\
             # What is acknowledged is on so many brokers, and stays until the sale's data is deleted.\n\
             default.replication.factor={brokers}\n\
             min.insync.replicas={in_sync}\n\
             offsets.topic.replication.factor={brokers}\n\
             offsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor={brokers}\n\
             transaction.state.log.min.isr={in_sync}\n\
             share.coordinator.state.topic.replication.factor={brokers}\n\
             share.coordinator.state.topic.min.isr={in_sync}\n\
             unclean.leader.election.enable=false\n\
             log.retention.ms=-1\n\
             log.retention.bytes=-1\n\
             # Time is the broker's; nobody makes a topic by a slip of the pen.\n\
             log.message.timestamp.type=LogAppendTime\n\
             auto.create.topics.enable=false\n\
             num.partitions=1\n\
             num.network.threads=2\n\
             num.io.threads=4\n\
             group.initial.rebalance.delay.ms=0\n\
             log.cleaner.dedupe.buffer.size=16777216\n",
            id = place + 1,
            voters = voters.join(","),
            log = self.data(place).join("log").display(),
        )
    }

    /// Whether a broker answers and knows all the others.
    async fn complete(&self, place: usize) -> bool {
        let (address, brokers) = (format!("127.0.0.1:{}", self.layout.kafka[place].0), self.layout.kafka.len());
        // Nobody listens yet: asked so, the client would complain about it in the log.
        if tokio::net::TcpStream::connect(&address).await.is_err() {
            return false;
        }
        let ask = move || {
            let client: Result<BaseConsumer, _> = ClientConfig::new().set("bootstrap.servers", address).create();
            let known = client.and_then(|client| client.fetch_metadata(None, ASK));
            known.is_ok_and(|known| known.brokers().len() == brokers)
        };
        tokio::task::spawn_blocking(ask).await.unwrap_or(false)
    }

    /// Their addresses for the sale.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<String> {
        self.layout.kafka.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect()
    }
}
