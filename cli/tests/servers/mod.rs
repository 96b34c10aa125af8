//! Real servers for tests: [`postgres`], [`redis`] and [`kafka`] are started at most once a test binary and shared by its
//! tests; [`Stack::start`] brings up servers of a test's own, to be killed and restarted. All of them are gone when the
//! test process is, however it ends.
//!
//! Where a server's program is missing, these answer `None`, say so on standard error, and fail when `CI` is set.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use flashsale::stack::plan::{Kafka, Plan, Postgres, Redis};
use flashsale::stack::{Running, StackError};
use flashsale_engine::sale::{Folder, Services};

/// Waits for its input to end, which it does when the test process is gone; then ends the servers and their data.
const WATCH: &str = r#"
read -r _
for file in "$0"/*.pid; do
    read -r pid < "$file"
    # PostgreSQL gives its shared memory back only when it is asked.
    case "$file" in *postgres*) kill -QUIT "$pid" ;; *) kill -KILL "$pid" ;; esac
done
tries=0
while [ -e "$0" ] && [ "$tries" -lt 100 ]; do rm -rf "$0"; sleep 0.1; tries=$((tries + 1)); done
"#;

/// The URL of a PostgreSQL server that the tests of this binary share.
pub fn postgres() -> Option<&'static str> {
    static SHARED: OnceLock<Option<Stack>> = OnceLock::new();
    let plan = Plan { postgres: Some(Postgres { standbys: 0, synchronous: true }), ..scratch() };
    shared(&SHARED, plan).map(|services| services.postgres[0].as_str())
}

/// The URL of a Redis server that the tests of this binary share.
pub fn redis() -> Option<&'static str> {
    static SHARED: OnceLock<Option<Stack>> = OnceLock::new();
    shared(&SHARED, Plan { redis: Some(Redis::Single), ..scratch() }).map(|services| services.redis[0].as_str())
}

/// The address of a Kafka broker that the tests of this binary share.
pub fn kafka() -> Option<&'static str> {
    static SHARED: OnceLock<Option<Stack>> = OnceLock::new();
    let plan = Plan { kafka: Some(Kafka { brokers: 1 }), ..scratch() };
    shared(&SHARED, plan).map(|services| services.kafka[0].as_str())
}

/// All three, shared: what a provider would have written.
pub fn all() -> Option<Services> {
    // The slowest first; the others are up in the meantime.
    let (kafka, postgres, redis) = std::thread::scope(|scope| {
        let (kafka, postgres) = (scope.spawn(kafka), scope.spawn(postgres));
        let redis = redis();
        (kafka.join().unwrap(), postgres.join().unwrap(), redis)
    });
    let one = |address: &str| vec![address.to_owned()];
    let (postgres, redis, kafka) = (one(postgres?), one(redis?), one(kafka?));
    Some(Services { postgres, redis, kafka, kafka_client: std::collections::BTreeMap::new() })
}

/// A plan without servers, whose data nobody keeps.
pub fn scratch() -> Plan {
    Plan { postgres: None, redis: None, kafka: None, scratch: true }
}

fn shared(stack: &'static OnceLock<Option<Stack>>, plan: Plan) -> Option<&'static Services> {
    stack.get_or_init(|| Stack::start(&plan)).as_ref().map(|stack| &stack.services)
}

/// Servers in a folder of their own, gone at the latest when the test process is.
pub struct Stack {
    pub running: Running,
    pub services: Services,
    _watch: Child,
}

impl Stack {
    /// Starts them, from within a runtime or without.
    pub fn start(plan: &Plan) -> Option<Self> {
        // Reachable by the user that PostgreSQL runs as.
        let open = std::fs::Permissions::from_mode(0o711);
        let folder = tempfile::Builder::new().prefix("flashsale-").permissions(open).tempdir().unwrap().keep();
        let mut watch = Command::new("sh");
        watch.args(["-c", WATCH]).arg(&folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let watch = watch.spawn().unwrap();
        let folder = Folder::new(folder);
        let started = block_on(Running::start(&folder, plan));
        match started {
            Ok(running) => Some(Self { services: running.services(), running, _watch: watch }),
            Err(StackError::Missing(what)) => {
                // Not by a macro: those are shown of failing tests alone.
                let _ = writeln!(std::io::stderr(), "\nSKIPPED: {what} is not installed here (flashsale doctor)\n");
                assert!(std::env::var_os("CI").is_none(), "{what} is missing");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Kills a server as a crash would.
    pub fn kill(&mut self, name: &str) {
        self.running.server(name).expect("a server of the plan").kill(self.running.folder());
    }

    /// Stops a server in good order and waits until it is gone.
    pub fn stop(&mut self, name: &str) {
        let (folder, server) = (self.running.folder(), self.running.server(name).expect("a server of the plan"));
        server.ask_to_stop(folder);
        block_on(server.gone(folder));
    }

    /// Starts a server that was stopped or killed; it answers some time later.
    pub fn restart(&mut self, name: &str) {
        self.running.restart(name).unwrap();
    }
}

/// On a thread of its own: a test may be inside of a runtime.
fn block_on<Output: Send>(future: impl Future<Output = Output> + Send) -> Output {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::scope(|scope| scope.spawn(|| runtime().block_on(future)).join().unwrap())
}
