//! PostgreSQL: a primary that keeps what it acknowledged, and standbys that stream from it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flashsale_engine::sale::{Folder, RECONCILER};
use rustix::process::Signal;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::account::Account;
use super::background::Background;
use super::error::StackError;
use super::layout::Layout;
use super::{programs, standby};

/// The superuser, whom only the provider uses.
const ADMIN: &str = "flashsale_admin";
/// As whom standbys replicate.
pub const REPLICATION: &str = "flashsale_replication";
/// The role and the database of sales.
const SALES: &str = "flashsale";

/// What the sale's role may do beyond its own database: look at replication, promote, and let an operator go on without
/// standbys.
const GRANTS: &[&str] = &[
    "grant pg_monitor to flashsale",
    "grant pg_checkpoint to flashsale",
    "grant alter system on parameter synchronous_standby_names to flashsale",
];
/// Who may call a function is each database's own matter: said in the one that the sales' database is copied from.
const TEMPLATE_GRANTS: &[&str] = &[
    "grant execute on function pg_promote(boolean, integer) to flashsale",
    "grant execute on function pg_reload_conf() to flashsale",
];

/// The PostgreSQL servers of a stack.
#[derive(Debug, Clone)]
pub struct Postgres {
    programs: PathBuf,
    account: Option<Account>,
    home: PathBuf,
    layout: Layout,
    synchronous: bool,
}

impl Postgres {
    /// Of a layout; none when its plan has no PostgreSQL.
    ///
    /// # Errors
    /// When its programs are missing.
    pub fn of(folder: &Folder, layout: &Layout) -> Result<Option<Self>, StackError> {
        let Some(plan) = layout.plan.postgres else { return Ok(None) };
        let account = Account::for_postgres()?;
        let home = account.map_or_else(|| folder.servers(), |account| account.home(folder.path()));
        let (programs, layout) = (programs::postgres()?, layout.clone());
        Ok(Some(Self { programs, account, home, layout, synchronous: plan.synchronous }))
    }

    /// The name of a server: `postgres`, then `postgres-standby-1`.
    #[must_use]
    pub fn name(place: usize) -> String {
        if place == 0 { "postgres".to_owned() } else { format!("postgres-standby-{place}") }
    }

    /// Where a server's data is.
    #[must_use]
    pub fn data(&self, place: usize) -> PathBuf {
        self.home.join(Self::name(place))
    }

    /// Where the data of all of them is, if it is outside of the sale's folder.
    #[must_use]
    pub fn elsewhere(&self, folder: &Folder) -> Option<&Path> {
        Some(self.home.as_path()).filter(|home| !home.starts_with(folder.path()))
    }

    /// The servers, the primary of the first start at first.
    #[must_use]
    pub fn servers(&self) -> Vec<Background> {
        let server = |(place, port): (usize, &u16)| Background {
            name: Self::name(place),
            program: self.programs.join("postgres"),
            arguments: vec!["-D".into(), self.data(place).into()],
            environment: Vec::new(),
            folder: self.data(place),
            account: self.account,
            // Ends sessions, writes a checkpoint.
            stop: Signal::INT,
            ports: vec![*port],
        };
        self.layout.postgres.iter().enumerate().map(server).collect()
    }

    /// Brings all of them up: data is made where there is none, settings are written, and each answers in the end.
    ///
    /// # Errors
    /// When a server or a tool fails.
    pub async fn start(&self, folder: &Folder) -> Result<Vec<Option<std::process::Child>>, StackError> {
        let mut children = Vec::new();
        for (place, server) in self.servers().iter().enumerate() {
            let made = self.data(place).join("PG_VERSION").exists();
            match place {
                _ if made => {}
                0 => self.initialize(place)?,
                place => standby::copy(self, place).await?,
            }
            if self.may_start(place).is_err() {
                continue;
            }
            self.configure(place)?;
            children.push(server.start(folder)?);
            server.answers(folder, || async { self.admin(place).await.is_ok() }).await?;
            if place == 0 {
                self.found(place).await?;
            } else {
                // Commits would wait for it.
                server.answers(folder, || async { self.follows(place).await.unwrap_or(false) }).await?;
            }
        }
        Ok(children)
    }

    /// Whether a server may start: not as a second primary.
    ///
    /// # Errors
    /// When another was promoted over it.
    pub fn may_start(&self, place: usize) -> Result<(), StackError> {
        match standby::promoted_over(self, place) {
            Some(by) => Err(StackError::PromotedOver { server: Self::name(place), by }),
            None => Ok(()),
        }
    }

    fn initialize(&self, place: usize) -> Result<(), StackError> {
        let data = self.data(place);
        self.make_folder(&data)?;
        let password = self.home.join("password.tmp");
        Account::write(self.account, &password, &self.layout.admin_password)?;
        let mut command = self.tool("initdb");
        command.args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--username", ADMIN, "--pwfile"]);
        command.arg(&password).arg("-D").arg(&data);
        if self.layout.plan.scratch {
            command.arg("--no-sync");
        }
        let made = run(command);
        std::fs::remove_file(&password).map_err(StackError::at(&password))?;
        made
    }

    pub(super) fn make_folder(&self, data: &Path) -> Result<(), StackError> {
        match self.account {
            Some(account) => account.make_folder(data),
            None => std::os::unix::fs::DirBuilderExt::mode(std::fs::DirBuilder::new().recursive(true), 0o700)
                .create(data)
                .map_err(StackError::at(data)),
        }
    }

    /// A tool of the same version as the server, as the server's user.
    pub(super) fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir("/");
        Account::take(self.account, &mut command);
        command
    }

    /// Settings are written at every start; what `alter system` said goes before them.
    fn configure(&self, place: usize) -> Result<(), StackError> {
        let data = self.data(place);
        Account::write(self.account, &data.join("postgresql.conf"), &self.settings(place))?;
        let access = format!(
            "host all all 127.0.0.1/32 scram-sha-256\nhost replication {REPLICATION} 127.0.0.1/32 scram-sha-256\n"
        );
        Account::write(self.account, &data.join("pg_hba.conf"), &access)
    }

    fn settings(&self, place: usize) -> String {
        let mut text = format!(
            "# Written at every start; `alter system` goes before it.\n\
             listen_addresses = '127.0.0.1'\n\
             port = {}\n\
             unix_socket_directories = ''\n\
             cluster_name = '{}'\n\
             max_connections = 200\n\
             shared_buffers = 256MB\n\
             # An acknowledged commit is on the disk.\n\
             fsync = on\n\
             full_page_writes = on\n\
             synchronous_commit = on\n\
             # A sale's half hour without a forced checkpoint.\n\
             max_wal_size = 4GB\n\
             checkpoint_timeout = 15min\n\
             wal_level = replica\n\
             hot_standby = on\n\
             max_wal_senders = 10\n\
             max_replication_slots = 10\n\
             # A slot keeps what its standby has not seen, however long it is away.\n\
             max_slot_wal_keep_size = -1\n\
             # A rewound primary can follow again.\n\
             wal_log_hints = on\n\
             jit = off\n\
             log_line_prefix = '%m [%p] %u@%d '\n\
             timezone = 'UTC'\n\
             log_timezone = 'UTC'\n",
            self.layout.postgres[place],
            standby::slot(place),
        );
        let others: Vec<String> =
            (0..self.layout.postgres.len()).filter(|other| *other != place).map(standby::slot).collect();
        if self.synchronous && !others.is_empty() {
            let _ = writeln!(text, "synchronous_standby_names = 'ANY 1 ({})'", others.join(", "));
        }
        if place > 0 {
            text.push_str(&standby::settings(&self.layout, place));
        }
        text
    }

    /// The roles and the database, at first; each is made unless it is there.
    async fn found(&self, place: usize) -> Result<(), StackError> {
        let mut admin = self.admin(place).await?;
        let (in_recovery,): (bool,) = sqlx::query_as("select pg_is_in_recovery()").fetch_one(&mut admin).await?;
        let (known,): (bool,) = sqlx::query_as("select exists (select from pg_database where datname = $1)")
            .bind(SALES)
            .fetch_one(&mut admin)
            .await?;
        if in_recovery || known {
            return Ok(());
        }
        let mut statements = vec![
            format!("drop role if exists {SALES}, {REPLICATION}, {RECONCILER}"),
            format!("create role {RECONCILER} nologin"),
            format!("create role {SALES} login password '{}'", self.layout.postgres_password),
            format!("create role {REPLICATION} login replication password '{}'", self.layout.replication_password),
        ];
        statements.push(format!("grant {RECONCILER} to {SALES}"));
        statements.extend(GRANTS.iter().map(|grant| (*grant).to_owned()));
        let slots = (1..self.layout.postgres.len())
            .map(|standby| format!("select pg_create_physical_replication_slot('{}', true)", standby::slot(standby)));
        statements.extend(slots);
        for statement in statements {
            admin.execute(AssertSqlSafe(statement)).await?;
        }
        let mut template = self.session(place, "template1").await?;
        for grant in TEMPLATE_GRANTS {
            template.execute(*grant).await?;
        }
        // A database that somebody uses is not copied.
        template.close().await?;
        // Last: it says that the others are there.
        admin.execute(AssertSqlSafe(format!("create database {SALES} owner {SALES}"))).await?;
        Ok(())
    }

    /// Whether a server is a primary itself, or some primary has it as a standby.
    async fn follows(&self, place: usize) -> sqlx::Result<bool> {
        let followed =
            "select pg_is_in_recovery(), exists (select from pg_stat_replication where application_name = $1)";
        for other in 0..self.layout.postgres.len() {
            let Ok(mut admin) = self.admin(other).await else { continue };
            let (in_recovery, has): (bool, bool) =
                sqlx::query_as(followed).bind(standby::slot(place)).fetch_one(&mut admin).await?;
            if has || (other == place && !in_recovery) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A session of the provider's; it never waits for a standby.
    async fn admin(&self, place: usize) -> sqlx::Result<PgConnection> {
        self.session(place, "postgres").await
    }

    async fn session(&self, place: usize, database: &str) -> sqlx::Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.layout.postgres[place])
            .username(ADMIN)
            .password(&self.layout.admin_password)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
            .options([("synchronous_commit", "local")]);
        PgConnection::connect_with(&options).await
    }

    pub(super) const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Their addresses for the sale.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let password = &self.layout.postgres_password;
        let url = |port| format!("postgres://{SALES}:{password}@127.0.0.1:{port}/{SALES}?sslmode=disable");
        self.layout.postgres.iter().map(url).collect()
    }
}

/// Runs a tool to its end.
pub(super) fn run(mut command: Command) -> Result<(), StackError> {
    let tool = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(StackError::at(Path::new(&tool)))?;
    if output.status.success() {
        return Ok(());
    }
    Err(StackError::Tool { tool, said: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}
