//! Log lines, and the level that can be changed while running.

use std::{
    fmt::Write,
    io::{IsTerminal, stderr},
};

use anyhow::Context;
use tracing_subscriber::{
    EnvFilter, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};
use vestibule_config::{Log, LogFormat};

/// Levels for libraries that say too much at the usual one. The operator's own words win.
const QUIET: [(&str, &str); 3] =
    [("ruma_state_res", "warn"), ("hyper", "warn"), ("rustls", "warn")];

/// Changes the level of the running process.
#[derive(Clone, Debug)]
pub(crate) struct LogLevel(reload::Handle<EnvFilter, Registry>);

impl LogLevel {
    /// Uses another filter from now on.
    pub(crate) fn set(&self, filter: EnvFilter) -> anyhow::Result<()> {
        self.0.reload(filter).context("could not change the log level")
    }
}

/// Understands `[log] filter`.
pub(crate) fn filter(log: &Log) -> anyhow::Result<EnvFilter> {
    let mut text = log.filter.clone();
    for (module, level) in QUIET {
        if !text.contains(module) {
            let _infallible = write!(text, ",{module}={level}");
        }
    }
    EnvFilter::builder()
        .parse(&text)
        .with_context(|| format!("log.filter = {:?} is no log filter", log.filter))
}

/// Starts logging to standard error. Only the first call in a process has an effect.
pub(crate) fn start(log: &Log) -> anyhow::Result<LogLevel> {
    let (filter, handle) = reload::Layer::new(filter(log)?);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match log.format {
        LogFormat::Text => {
            let lines = fmt::layer().with_ansi(stderr().is_terminal()).with_writer(stderr);
            registry.with(lines).try_init()
        }
        LogFormat::Json => registry.with(fmt::layer().json().with_writer(stderr)).try_init(),
    };
    if started.is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(place, "a task panicked: {}", message(panic.payload()));
        }));
    }
    Ok(LogLevel(handle))
}

fn message(payload: &(dyn std::any::Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
