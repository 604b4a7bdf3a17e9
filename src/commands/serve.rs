//! `lidmark serve`: the server with the snapshot that follows the change feed and the outbox.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{Ending, Ground, Outcome};
use crate::config::{Config, Mail};
use crate::domain::Refusal;
use crate::domain::claim::ClaimRules;
use crate::http::{self, AppState};
use crate::outbox;
use crate::photos::{PhotoLimits, PhotoStore};
use crate::registry::{Clock, Registry, RegistryError, Reminded, SensorsSwept, Settled, Swept, TasksSwept};
use crate::sensors;
use crate::spatial::LiveSnapshot;

/// How long running requests may take after the signal to stop.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(super) struct ServeArgs {
    /// Where to listen; port 0 takes a free one and prints it
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: String,
}

pub(super) async fn serve(ground: &Ground, args: ServeArgs) -> Outcome<Ending> {
    let config = ground.config()?;
    let listener = listen(&args.listen).await?;
    let registry = ground.open_or_create(&config, Clock::System).await?;
    let address = listener.local_addr().map_err(anyhow::Error::new)?;
    run(ground, registry, config, listener, || {
        ground.say.words(format!("服务地址 http://{address}"), format!("Serving http://{address}"));
        ground.say.summary(&json!({"listening": format!("http://{address}")}));
    })
    .await
}

pub(super) fn parse_address(address: &str) -> Result<SocketAddr, Refusal> {
    address.parse().map_err(|_| Refusal::new("listen.address").at("listen").with("read", address))
}

/// Takes the address before anything else is done.
pub(super) async fn listen(address: &str) -> Outcome<TcpListener> {
    let listener = TcpListener::bind(parse_address(address)?).await.map_err(|error| {
        Refusal::new("listen.taken").at("listen").with("read", address).with("reason", error)
    })?;
    Ok(listener)
}

/// Serves until SIGINT or SIGTERM; `ready` is called when requests are answered.
pub(super) async fn run(
    ground: &Ground,
    registry: Registry,
    config: Config,
    listener: TcpListener,
    ready: impl FnOnce(),
) -> Outcome<Ending> {
    let photos = PhotoStore::new(ground.place.photos(), PhotoLimits::default());
    let cleaning = photos.clone();
    // Nobody takes photos in yet.
    match tokio::task::spawn_blocking(move || cleaning.remove_leftovers()).await {
        Ok(Err(error)) => tracing::warn!(%error, "leftovers of photos stay"),
        Ok(Ok(removed)) if removed > 0 => tracing::info!(removed, "leftovers of photos removed"),
        _ => {}
    }
    let snapshot = Arc::new(LiveSnapshot::new(registry.load_map(&config.quality, Arc::default()).await?));
    tracing::info!(covers = snapshot.load().len(), version = snapshot.version(), "the map is loaded");
    let private_receivers = config.outbox.private_receivers;
    let mail = config.mail.clone();
    let password = mail_password(ground, &mail)?;
    let server = mail.is_on().then(|| format!("smtp://{}:{}", mail.server, mail.port()));
    if let Err(error) = registry.settle_mail_receiver(server).await {
        tracing::warn!(%error, "mail to citizens waits for a start on a disk that can be written");
    }
    let writing = config.clone();
    let claim_rules = config.quality.claims.clone();
    let broker = config.sensors.mqtt.clone();
    if let Some(mqtt) = &broker {
        // What the settings name must be there before anybody relies on it.
        mqtt.credentials()?;
        mqtt.authority()?;
    }
    let state = AppState::new(registry.clone(), snapshot.clone(), photos, config, ground.place.data.clone());
    let following = state.clone();
    let following = tokio::spawn(async move { following.follow_map().await });
    let sweeping = state.clone();
    let sweeping = tokio::spawn(async move { sweeping.first_sweep().await });
    let tallying = state.clone();
    let tallying = tokio::spawn(async move { tallying.follow_cases().await });
    let claims = tokio::spawn(settle_claims(registry.clone(), claim_rules));
    let tasks = tokio::spawn(sweep_tasks(registry.clone()));
    let reminding = tokio::spawn(remind(registry.clone()));
    let outbox = tokio::spawn(outbox::run(registry.clone(), ground.place.outbox()));
    let courier = outbox::Courier::new(registry.clone(), private_receivers)
        .and_then(|courier| courier.writing_to_citizens(&writing, password))
        .map_err(anyhow::Error::new)?;
    let courier = tokio::spawn(courier.run());
    let clearing = tokio::spawn(outbox::clear(registry.clone()));
    let unfinished = tokio::spawn(finish_bulk_edits(registry.clone()));
    let deadlines = tokio::spawn(watch_deadlines(registry.clone()));
    let watching = tokio::spawn(watch_sensors(registry.clone()));
    let hearing = broker.map(|mqtt| tokio::spawn(sensors::run(registry.clone(), mqtt)));
    state.resume_plate_orders().await;

    let mut interrupt = signal(SignalKind::interrupt()).map_err(anyhow::Error::new)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(anyhow::Error::new)?;
    let (stop, mut stopping) = tokio::sync::watch::channel(false);
    let mut told = stop.subscribe();
    let shutdown = async move {
        // A sender that is gone means stop as well.
        let _ = told.wait_for(|stop| *stop).await;
    };
    let mut server = tokio::spawn(http::serve(state, listener, shutdown));
    ready();
    let ended = tokio::select! {
        ended = &mut server => Some(ended),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    let ended = match ended {
        Some(ended) => Some(ended),
        None => {
            tracing::info!("stopping");
            stop.send_replace(true);
            stopping.mark_unchanged();
            tokio::time::timeout(GRACE, &mut server).await.ok()
        }
    };
    server.abort();
    following.abort();
    sweeping.abort();
    tallying.abort();
    claims.abort();
    tasks.abort();
    reminding.abort();
    outbox.abort();
    courier.abort();
    clearing.abort();
    unfinished.abort();
    deadlines.abort();
    watching.abort();
    if let Some(hearing) = hearing {
        hearing.abort();
    }
    registry.close().await;
    match ended {
        Some(Ok(Err(error))) => Err(anyhow::Error::new(error).context("the server stopped").into()),
        Some(Err(error)) if error.is_panic() => Err(anyhow::Error::new(error).into()),
        _ => Ok(Ending::Done),
    }
}

/// The password for the mail server, from the file that the settings name.
fn mail_password(ground: &Ground, mail: &Mail) -> Outcome<Option<String>> {
    if mail.user.is_empty() {
        return Ok(None);
    }
    let file = ground.place.data.join(&mail.password_file);
    let read = std::fs::read_to_string(&file).map_err(|error| {
        Refusal::new("config.unreadable").with("file", file.display()).with("reason", error)
    })?;
    Ok(Some(read.trim().to_owned()))
}

/// How often notices that are over are looked for.
const CLAIM_PAUSE: Duration = Duration::from_secs(30);

/// Carries on notices that lack covers, and settles what is due and nobody claimed, until the task is dropped.
async fn settle_claims(registry: Registry, rules: ClaimRules) {
    loop {
        if let Err(error) = settle_claims_once(&registry, &rules).await {
            tracing::warn!(%error, "notices of ownerless covers wait");
        }
        tokio::time::sleep(CLAIM_PAUSE).await;
    }
}

async fn settle_claims_once(registry: &Registry, rules: &ClaimRules) -> Result<(), RegistryError> {
    for number in registry.list_filling_claim_notices().await? {
        registry.fill_claim_notice(&number).await?;
    }
    let settled = registry.settle_due_claims(rules).await?;
    if settled != Settled::default() {
        tracing::info!(
            claims.fell_back = settled.fell_back,
            claims.unclaimed = settled.unclaimed,
            claims.withdrawn = settled.withdrawn,
            "notices of ownerless covers are over"
        );
    }
    Ok(())
}

/// How often open cases are looked at for what is due.
const DEADLINE_PAUSE: Duration = Duration::from_secs(30);

/// Reminds, ends pauses and takes back what nobody claimed, until the task is dropped.
async fn watch_deadlines(registry: Registry) {
    loop {
        match registry.sweep_cases().await {
            Ok(swept) if swept != Swept::default() => tracing::info!(
                cases.reminded = swept.reminded,
                cases.resumed = swept.resumed,
                cases.unclaimed = swept.unclaimed,
                cases.reckoned = swept.reckoned,
                "deadlines of open cases"
            ),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "deadlines of open cases wait"),
        }
        match registry.sweep_holds().await {
            Ok(0) => {}
            Ok(released) => {
                tracing::info!(cases.released = released, "held cases at which nobody looked go on")
            }
            Err(error) => tracing::warn!(%error, "held cases wait"),
        }
        if let Err(error) = registry.sweep_rewards().await {
            tracing::warn!(%error, "claims of rewards wait");
        }
        tokio::time::sleep(DEADLINE_PAUSE).await;
    }
}

/// How often it is looked whether a round begins, a campaign is over, or a date comes near.
const TASK_PAUSE: Duration = Duration::from_secs(60);

/// Carries on campaigns that lack tasks and does what the clock asks for, until the task is dropped.
async fn sweep_tasks(registry: Registry) {
    loop {
        match registry.sweep_tasks().await {
            Ok(swept) if swept != TasksSwept::default() => tracing::info!(
                tasks.rounds = swept.rounds,
                tasks.closed = swept.closed,
                tasks.missed = swept.missed,
                tasks.withdrawn = swept.withdrawn,
                tasks.raised = swept.raised,
                "tasks were opened or are over"
            ),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "tasks wait for the next look"),
        }
        tokio::time::sleep(TASK_PAUSE).await;
    }
}

/// How often it is looked whether an alarm has lasted, or planned work is over.
const SENSOR_PAUSE: Duration = Duration::from_secs(2);
/// After so many looks, hours that nobody asks for any more are cleared away.
const SENSOR_LOOKS: u32 = 1800;

/// Does what time does with sensors, until the task is dropped. The first look waits, so that what a broker kept while the
/// server was away is heard before.
async fn watch_sensors(registry: Registry) {
    tokio::time::sleep(10 * SENSOR_PAUSE).await;
    for look in 0_u32.. {
        match registry.sweep_sensors().await {
            Ok(swept) if swept != SensorsSwept::default() => tracing::info!(
                sensors.alarms = swept.alarms,
                sensors.quiet = swept.quiet,
                sensors.armed = swept.armed,
                "sensors were waited for"
            ),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "alarms of sensors wait for the next look"),
        }
        if look % SENSOR_LOOKS == 0
            && let Err(error) = registry.clear_sensor_hours().await
        {
            tracing::warn!(%error, "old hours of sensors stay for now");
        }
        tokio::time::sleep(SENSOR_PAUSE).await;
    }
}

/// How often notices of supervisors are looked through for those to be reminded of.
const REMIND_PAUSE: Duration = Duration::from_secs(60);

/// Reminds of notices of supervisors, until the task is dropped.
async fn remind(registry: Registry) {
    loop {
        match registry.remind_notices(registry.now()).await {
            Ok(Reminded { reminders: 0, overdue: 0 }) => {}
            Ok(Reminded { reminders, overdue }) => {
                tracing::info!(
                    notices.reminders = reminders,
                    notices.overdue = overdue,
                    "notices were reminded of"
                );
            }
            Err(error) => tracing::warn!(%error, "reminders of notices wait"),
        }
        tokio::time::sleep(REMIND_PAUSE).await;
    }
}

/// Carries changes of many covers to their end that were broken off when a server stopped.
async fn finish_bulk_edits(registry: Registry) {
    let unfinished = match registry.list_unfinished_bulk_edits().await {
        Ok(unfinished) => unfinished,
        Err(error) => return tracing::warn!(%error, "changes of many covers wait for somebody to look"),
    };
    for id in unfinished {
        match registry.carry_on_bulk_edit(id).await {
            Ok(()) => {
                tracing::info!(bulk_edit.id = %id, "a change of many covers that was broken off is done")
            }
            Err(error) => tracing::warn!(bulk_edit.id = %id, %error, "a change of many covers stands still"),
        }
    }
}
