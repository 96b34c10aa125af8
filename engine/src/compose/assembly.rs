//! The parts of an engine, put together from its stores.

use std::sync::Arc;

use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::facts::{define, facts};
use super::files::in_use;
use super::stores::{Outlets, RunBooks, Stores};
use super::{ServeError, Serving};
use crate::adapters::console::Console;
use crate::adapters::system_clock::SystemClock;
use crate::allocator::gauges::Gauges;
use crate::allocator::nudges;
use crate::allocator::service::{Options, Ports, Service, WriterError};
use crate::allocator::takeover::Claim;
use crate::gateway::batch::{Batcher, Parts as BatcherParts};
use crate::gateway::desk::Shared;
use crate::gateway::gate::GateFlag;
use crate::gateway::gauges::GatewayGauges;
use crate::gateway::inside::Inside;
use crate::gateway::late::Late;
use crate::gateway::refill::Refill;
use crate::gateway::{Gateway, bind};
use crate::id::Ids;
use crate::operator::changes::Changes;
use crate::operator::prewarm::Prewarm;
use crate::operator::routes::Operator;
use crate::operator::status::StatusSource;
use crate::operator::visits::Visits;
use crate::ports::{Cache, Clock, Log, Notifier};
use crate::publisher::answers::Answers;
use crate::publisher::board::Board;
use crate::publisher::events::Encoder;
use crate::publisher::follower::Follower;
use crate::publisher::service::{Parts, Publisher};
use crate::reconciler;
use crate::record::BatchId;
use crate::sale::{Folder, Frozen};
use crate::schedule::Schedule;
use crate::settler::Settler;
use crate::submit::Submit;
use crate::telemetry::collect::Collector;
use crate::telemetry::{Timeline, recorder};
use crate::token::Keys;

/// Frames that a slow stream may be behind.
const FRAMES: usize = 16;

/// The parts, put together but not yet running.
pub(super) struct Assembly {
    frozen: Arc<Frozen>,
    stores: Arc<Stores>,
    clock: Arc<dyn Clock>,
    console: Arc<Console>,
    pub(super) gauges: Arc<Gauges>,
    gate: Arc<GateFlag>,
    publisher: Arc<Publisher>,
    shared: Shared,
    keys: Keys,
    gateway_gauges: Vec<Arc<GatewayGauges>>,
    visits: Visits,
    operators: Batcher,
    settling: Batcher,
    pub(super) operator: Arc<Operator>,
    nudge: Arc<Notify>,
    cache: Arc<dyn Cache>,
    decisions: Option<Arc<dyn Log>>,
    alone: bool,
    pub(super) tasks: TaskTracker,
    pub(super) stop_gateways: CancellationToken,
    pub(super) stop_operator: CancellationToken,
    pub(super) stop_writer: CancellationToken,
    pub(super) stop_publisher: CancellationToken,
}

/// The writer's thread.
pub(super) struct Writing {
    pub(super) ended: tokio::sync::oneshot::Receiver<Result<(), WriterError>>,
}

impl Assembly {
    pub(super) fn new(
        serving: &Serving,
        frozen: Arc<Frozen>,
        stores: Stores,
        outlets: Outlets,
    ) -> Result<Self, ServeError> {
        let Serving { folder, role, limits, .. } = serving;
        let (stores, Outlets { cache, events, decisions, alone }) = (Arc::new(stores), outlets);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let console = Arc::new(Console::default());
        let gauges = Arc::new(Gauges::default());
        let board = Arc::new(Board::new(&frozen, Arc::clone(&clock)));
        let gate = Arc::new(GateFlag::default());
        let tasks = TaskTracker::new();
        let stop_publisher = CancellationToken::new();
        let history = Arc::clone(&stores.history);
        let answers = Arc::new(Answers::new(board.clone(), Arc::clone(&gauges)));
        let publisher = Publisher::start(
            Parts {
                answers: Arc::clone(&answers),
                gauges: Arc::clone(&gauges),
                cache: Arc::clone(&cache),
                events,
                decisions: decisions.clone(),
                history: Arc::clone(&history),
                ledger: Arc::clone(&stores.ledger),
                clock: Arc::clone(&clock),
                encoder: Encoder::new(&frozen),
            },
            &tasks,
            &stop_publisher,
        );
        let batcher = |gateway: u32| {
            Batcher::start(BatcherParts {
                gateway,
                boot: rand::random(),
                log: Arc::clone(&stores.log),
                feed: publisher.subscribe(),
                gauges: Arc::clone(&gauges),
                clock: Arc::clone(&clock),
                overload: None,
            })
        };
        let (operators, settling) = (batcher(BatchId::OPERATOR), batcher(BatchId::SETTLER));
        let local = std::fs::read_to_string(folder.shopper_key()).ok();
        let definition = &frozen.definition;
        let keys = Keys::new(&definition.sale, &definition.engine.token_keys, local.as_deref())?;
        let ids = Ids::new(frozen.run);
        let shared = Shared {
            board: Arc::clone(&board),
            gate: Arc::clone(&gate),
            late: Arc::new(Late::default()),
            refill: Arc::new(Refill::new(Arc::clone(&cache), Arc::clone(&clock), definition.items.len())),
            history: Arc::clone(&history),
            payments: Arc::clone(&stores.payments),
            clock: Arc::clone(&clock),
            ids: ids.clone(),
            facts: Arc::new(facts(&frozen, *limits)),
        };
        let threads = if role.serves_shoppers() { definition.engine.gateways.max(1) } else { 0 };
        let gateway_gauges: Vec<Arc<GatewayGauges>> = (0..threads).map(|_| Arc::default()).collect();
        let status = Arc::new(StatusSource {
            frozen: Arc::clone(&frozen),
            writer: Arc::clone(&gauges),
            board: Arc::clone(&board),
            gate: Arc::clone(&gate),
            clock: Arc::clone(&clock),
            started_at: clock.now(),
        });
        let token = std::fs::read_to_string(folder.operator_token())?.trim().to_owned();
        let visits = Visits { folder: folder.clone(), token: token.clone(), mirrors: Arc::default() };
        let changes = Changes {
            gateways: Arc::new(visits.clone()),
            submit: Arc::new(operators.clone()),
            gate: Arc::clone(&gate),
            history: Arc::clone(&history),
            board: Arc::clone(&board),
            ids,
            clock: Arc::clone(&clock),
            notifier: console.clone(),
            audit: Arc::new(RunBooks { frozen: Arc::clone(&frozen), stores: Arc::clone(&stores) }),
        };
        publisher.offer_products(&shared.facts.products);
        let prewarm = Prewarm {
            publisher: Arc::clone(&publisher),
            history: Arc::clone(&history),
            submit: Arc::new(operators.clone()),
            products: shared.facts.products.clone(),
        };
        let stop_operator = CancellationToken::new();
        let operator = Arc::new(Operator {
            status,
            changes,
            prewarm,
            frames: broadcast::channel(FRAMES).0,
            newest: arc_swap::ArcSwapOption::empty(),
            token,
            stop: stop_operator.clone(),
        });
        Ok(Self {
            frozen,
            stores,
            clock,
            console,
            gauges,
            gate,
            publisher,
            shared,
            keys,
            gateway_gauges,
            visits,
            operators,
            settling,
            operator,
            nudge: Arc::new(Notify::new()),
            cache,
            decisions,
            alone,
            tasks,
            stop_gateways: CancellationToken::new(),
            stop_operator,
            stop_writer: CancellationToken::new(),
            stop_publisher,
        })
    }

    /// Starts the gateway threads; all share one address.
    pub(super) fn gateways(
        &self,
        first: std::net::TcpListener,
        first_number: u32,
    ) -> Result<Vec<std::thread::JoinHandle<()>>, ServeError> {
        let listen = first.local_addr()?;
        let mut first = Some(first);
        let mut threads = Vec::new();
        for (number, gauges) in (first_number..).zip(&self.gateway_gauges) {
            let listener = match first.take() {
                Some(listener) => listener,
                None => bind(listen).map_err(|error| in_use(listen, error))?,
            };
            let gateway = Gateway {
                number,
                listener,
                shared: self.shared.clone(),
                log: Arc::clone(&self.stores.log),
                feed: self.publisher.subscribe(),
                writer: Arc::clone(&self.gauges),
                gauges: Arc::clone(gauges),
                keys: self.keys.clone(),
                overload: self.frozen.definition.admission.overload.clone(),
                stop: self.stop_gateways.clone(),
            };
            threads.push(gateway.start()?);
        }
        Ok(threads)
    }

    /// Starts what every process of a sale does: it hears of decisions that others make, and of the gate.
    pub(super) fn follow(&self) {
        let (history, stop) = (Arc::clone(&self.stores.history), &self.stop_operator);
        if let Some(decisions) = &self.decisions {
            let follower = Follower {
                decisions: Arc::clone(decisions),
                history: Arc::clone(&history),
                answers: self.publisher.answers(),
                gauges: Arc::clone(&self.gauges),
                clock: Arc::clone(&self.clock),
            };
            self.tasks.spawn(follower.run(stop.clone()));
        }
        self.tasks.spawn(reconciler::follow_gate(history, Arc::clone(&self.gate), stop.clone()));
    }

    /// Starts what shows a sale to its operators.
    pub(super) fn show(&self) {
        let stop = &self.stop_operator;
        let collector = Collector {
            status: Arc::clone(&self.operator.status),
            writer: Arc::clone(&self.gauges),
            gateways: self.gateway_gauges.clone(),
            mirrors: Arc::clone(&self.visits.mirrors),
            produce: vec![Arc::clone(&self.operators.produce)],
            timeline: Arc::clone(&self.console) as Arc<dyn Timeline>,
            clock: Arc::clone(&self.clock),
        };
        self.tasks.spawn(collector.run(self.operator.frames.clone(), stop.clone()));
        self.tasks.spawn(keep_newest(Arc::clone(&self.operator), stop.clone()));
        self.tasks.spawn(self.visits.clone().run(stop.clone()));
    }

    /// The side door of a gateway process.
    pub(super) fn inside(&self) -> Inside {
        Inside::new(self.gateway_gauges.clone(), Arc::clone(&self.gate), self.visits.token.clone())
    }

    /// Starts what runs beside the writer, under its epoch: nothing of it before this process has the writer.
    pub(super) fn beside_the_writer(&self, folder: &Folder) {
        let history = Arc::clone(&self.stores.history);
        let notifier: Arc<dyn Notifier> = self.console.clone();
        let stop = &self.stop_operator;
        let recording = folder.run(self.frozen.run).join("recording.jsonl");
        self.once_leading(recorder::run(recording, self.operator.frames.subscribe(), stop.clone()));
        let schedule = Schedule {
            writer: Arc::clone(&self.gauges),
            submit: Arc::new(self.operators.clone()),
            ids: self.shared.ids.clone(),
            clock: Arc::clone(&self.clock),
            notifier: Arc::clone(&notifier),
        };
        self.once_leading(schedule.run(stop.clone()));
        let payments = Arc::clone(&self.stores.payments);
        let submit: Arc<dyn Submit> = Arc::new(self.settling.clone());
        let settler =
            Settler::new(Arc::clone(&history), payments, submit, Arc::clone(&notifier), Arc::clone(&self.clock));
        self.once_leading(settler.run(stop.clone()));
        let (gate, clock) = (Arc::clone(&self.gate), Arc::clone(&self.clock));
        self.once_leading(reconciler::run(Arc::clone(&history), gate, notifier, clock, stop.clone()));
        self.once_leading(nudges::notices(Arc::clone(&self.cache), Arc::clone(&self.nudge), stop.clone()));
        self.once_leading(nudges::sweep(history, Arc::clone(&self.clock), Arc::clone(&self.nudge), stop.clone()));
    }

    fn once_leading(&self, task: impl Future<Output = ()> + Send + 'static) {
        let (gauges, stop) = (Arc::clone(&self.gauges), self.stop_operator.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = gauges.leading() => task.await,
                () = stop.cancelled() => {}
            }
        });
    }

    /// Starts the writer on a thread of its own.
    pub(super) fn writer(&self) -> Result<Writing, ServeError> {
        let Stores { log, ledger, history, .. } = &*self.stores;
        let (log, ledger, history) = (Arc::clone(log), Arc::clone(ledger), Arc::clone(history));
        let notifier: Arc<dyn Notifier> = self.console.clone();
        let service = Service {
            ports: Ports {
                log,
                decisions: self.decisions.clone(),
                ledger,
                history,
                notifier,
                clock: Arc::clone(&self.clock),
            },
            claim: Claim { define: define(&self.frozen)?, writer: Uuid::new_v4(), boot: rand::random() },
            options: Options { alone: self.alone, log_returns: self.decisions.is_some(), ..Options::default() },
            gauges: Arc::clone(&self.gauges),
            publisher: Arc::clone(&self.publisher),
            nudge: Arc::clone(&self.nudge),
            stop: self.stop_writer.clone(),
        };
        let (tell, ended) = tokio::sync::oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
            let _ = tell.send(runtime.block_on(service.run()));
        })?;
        Ok(Writing { ended })
    }
}

async fn keep_newest(operator: Arc<Operator>, stop: CancellationToken) {
    let mut frames = operator.frames.subscribe();
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                Ok(frame) => operator.newest.store(Some(frame)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            },
            () = stop.cancelled() => return,
        }
    }
}
