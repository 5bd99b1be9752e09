//! `vestibule serve`

use std::{path::Path, process::ExitCode};

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};
use vestibule_config::{Config, load};

use crate::{
    environment::{self, Tasks},
    reload::Reload,
    start::{Options, start},
    telemetry,
};

pub(super) fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let loaded = load(file)?;
    let level = telemetry::start(&loaded.config.log)?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    make_room_for_connections(&loaded.config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::from(loaded.config.limits.workers))
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let tasks = Tasks::on(tokio::runtime::Handle::current());
        let environment = environment::system(&tasks);
        let reload = Reload::of(file, level);
        let running =
            start(loaded, Options { tasks, environment, reload: Some(reload), transport: None })
                .await?;
        if !running.has_admin().await? {
            warn!(
                "no admin exists; make one with: vestibule --config {} user create NAME --class \
                 admin   (the password is read from standard input)",
                file.display()
            );
        }
        // Rigs wait for this line and read it: in the order of the configuration, ports as they were chosen.
        let listeners = running.addresses().iter().map(ToString::to_string).collect::<Vec<_>>();
        info!(listeners = %listeners.join(","), "ready");
        loop {
            match signals.next().await {
                Order::Stop => break,
                Order::Reload => match running.reload().await {
                    Ok(told) => info!("{told}"),
                    Err(reason) => error!("nothing is changed: {reason:#}"),
                },
            }
        }
        info!("stopping");
        running.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Every connection is an open file, and the usual limit of a shell is 1,024 of them.
fn make_room_for_connections(config: &Config) {
    let listeners = u64::try_from(config.listeners.len()).unwrap_or(1);
    let wanted = u64::from(config.limits.connections_max) * listeners + FILES_BESIDE_CONNECTIONS;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(allowed) if allowed >= wanted => {}
        Ok(allowed) => warn!(
            "only {allowed} files may be open at once, but limits.connections_max asks for {wanted}; \
             raise LimitNOFILE or lower it"
        ),
        Err(error) => warn!(%error, "the limit of open files could not be raised"),
    }
}

/// The database's files, sockets, and what else a process holds.
const FILES_BESIDE_CONNECTIONS: u64 = 1_024;

enum Order {
    Stop,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.terminate.recv() => Order::Stop,
            _ = self.interrupt.recv() => Order::Stop,
            _ = self.hangup.recv() => Order::Reload,
        }
    }
}
